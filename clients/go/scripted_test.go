package recarena

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// scriptedServer hands the sessions that come to the test, message by message.
type scriptedServer struct {
	pb.UnimplementedRecommenderServiceServer
	address string
	coming  chan *scriptedSession
}

// scriptedSession is the server's side of one Connect.
type scriptedSession struct {
	t        testing.TB
	stream   grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse]
	metadata metadata.MD
	register *pb.Register
	requests chan *pb.ConnectRequest
	end      chan error
	ending   sync.Once
	seq      uint64
}

func newScriptedServer(t testing.TB, secure credentials.TransportCredentials) *scriptedServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &scriptedServer{
		address: listener.Addr().String(), coming: make(chan *scriptedSession, 10),
	}
	var options []grpc.ServerOption
	if secure != nil {
		options = append(options, grpc.Creds(secure))
	}
	serving := grpc.NewServer(options...)
	pb.RegisterRecommenderServiceServer(serving, server)
	go func() { _ = serving.Serve(listener) }()
	t.Cleanup(serving.Stop)
	return server
}

func (s *scriptedServer) Connect(
	stream grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse],
) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	given, _ := metadata.FromIncomingContext(stream.Context())
	session := &scriptedSession{
		stream: stream, metadata: given, register: first.GetRegister(),
		requests: make(chan *pb.ConnectRequest, 1000), end: make(chan error, 1),
	}
	s.coming <- session
	go func() {
		defer close(session.requests)
		for {
			request, err := stream.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					session.finish(nil)
				}
				return
			}
			session.requests <- request
		}
	}()
	select {
	case err := <-session.end:
		return err
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}

func (s *scriptedServer) StreamCatalog(
	_ *pb.StreamCatalogRequest, stream grpc.ServerStreamingServer[pb.StreamCatalogResponse],
) error {
	items := make([]*pb.Item, 10)
	for n := range items {
		items[n] = &pb.Item{ItemId: fmt.Sprintf("item-%d", n)}
	}
	return stream.Send(&pb.StreamCatalogResponse{Items: items})
}

func (s *scriptedServer) accept(t testing.TB) *scriptedSession {
	t.Helper()
	select {
	case session := <-s.coming:
		session.t = t
		return session
	case <-time.After(patience):
		t.Fatal("no session came")
		return nil
	}
}

// begin goes through the handshake.
func (s *scriptedServer) begin(t testing.TB) *scriptedSession {
	t.Helper()
	session := s.accept(t)
	session.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Registered{
		Registered: &pb.Registered{
			RunId: "run-1", CatalogVersion: "v1", CatalogSize: 10, PageSize: 5,
			Capabilities: session.register.Capabilities,
			WorkTimeout:  durationpb.New(2 * time.Second),
		},
	}})
	if ready := session.receive().GetCatalogReady(); ready == nil || ready.Error != nil {
		t.Fatalf("no CatalogReady: %v", ready)
	}
	return session
}

func (s *scriptedSession) send(message *pb.ConnectResponse) {
	s.t.Helper()
	s.seq++
	message.Seq = s.seq
	if err := s.stream.Send(message); err != nil {
		s.t.Fatal(err)
	}
}

// receive is the recommender's next message, nil when it has closed its half.
func (s *scriptedSession) receive() *pb.ConnectRequest {
	s.t.Helper()
	select {
	case request := <-s.requests:
		return request
	case <-time.After(patience):
		s.t.Fatal("no message came")
		return nil
	}
}

// finish ends the stream.
func (s *scriptedSession) finish(err error) { s.ending.Do(func() { s.end <- err }) }

// ask sends a work for one user, with so long to answer; 0: not said.
func (s *scriptedSession) ask(id string, timeout time.Duration) {
	s.t.Helper()
	header := &pb.WorkHeader{WorkId: id}
	if timeout > 0 {
		header.Timeout = durationpb.New(timeout)
	}
	s.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_RankWork{RankWork: &pb.RankWork{
		Header: header, Queries: []*pb.RankQuery{{ResultCount: 1}},
	}}})
}

func (s *scriptedSession) withdraw(id string) {
	s.t.Helper()
	s.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_CancelWork{
		CancelWork: &pb.CancelWork{WorkId: id},
	}})
}

// heard returns when all that was sent has been read.
func (s *scriptedSession) heard(nonce uint64) {
	s.t.Helper()
	s.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Ping{Ping: &pb.Ping{Nonce: nonce}}})
	if pong := s.receive().GetPong(); pong.GetNonce() != nonce {
		s.t.Fatalf("no Pong: %v", pong)
	}
}

func (s *scriptedSession) feedback(cursor string) {
	s.t.Helper()
	s.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_FeedbackBatch{
		FeedbackBatch: &pb.FeedbackBatch{Cursor: cursor},
	}})
}

// scripted is a recommender whose methods are the test's; those that are nil do nothing.
type scripted struct {
	start    func() error
	rank     func(ctx context.Context) ([]List, error)
	feedback func(batch *pb.FeedbackBatch) error
	ready    func(ctx context.Context) error
	close    func() error
}

func (s *scripted) Start(context.Context, *Run) error {
	if s.start == nil {
		return nil
	}
	return s.start()
}

func (s *scripted) Rank(ctx context.Context, _ []*pb.RankQuery) ([]List, error) {
	if s.rank == nil {
		return []List{{IDs: []string{"item-1"}}}, nil
	}
	return s.rank(ctx)
}

func (s *scripted) Feedback(_ context.Context, batch *pb.FeedbackBatch) error {
	if s.feedback == nil {
		return nil
	}
	return s.feedback(batch)
}

func (s *scripted) Ready(ctx context.Context, _ int) error {
	if s.ready == nil {
		return nil
	}
	return s.ready(ctx)
}

func (s *scripted) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// serving is a Serve under way.
type serving struct {
	t      testing.TB
	cancel context.CancelFunc
	result chan error
}

// serve serves a recommender until the test ends, or leaves.
func serve(t testing.TB, server string, one Recommender, given ...Option) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	running := &serving{t, cancel, make(chan error, 1)}
	given = append([]Option{
		WithServer(server), WithLogger(slog.New(slog.DiscardHandler)),
	}, given...)
	go func() {
		running.result <- Serve(ctx, func() Recommender { return one }, "scripted", given...)
		close(running.result)
	}()
	t.Cleanup(func() {
		cancel()
		<-running.result
	})
	return running
}

// ended is what Serve returned.
func (s *serving) ended() error {
	s.t.Helper()
	select {
	case err := <-s.result:
		return err
	case <-time.After(patience):
		s.t.Fatal("Serve did not return")
		return nil
	}
}
