package recarena

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// grace is for what is under way when one side leaves.
const grace = 5 * time.Second

// how a session ended.
type how int

const (
	lost    how = iota // come back
	left               // the context of Serve was done
	runOver            // the server needs this recommender no more
)

// session serves one run over one stream, as far as the stream holds. Three goroutines: the reader
// takes messages off the stream, answers pings and obeys CancelWork at once, and hands the rest on
// in order. The conductor works through them, one at a time. The writer sends.
type session struct {
	id, instance string
	link         *link
	options      *options
	logger       *slog.Logger
	// The recommender that serves, and what makes the next one where the run that the server gives
	// is not the one that it was serving. The conductor's while the session runs.
	engagement *engagement
	renew      func() (*engagement, error)

	inbox  *queue[received]
	outbox *queue[payload]
	works  *works
	// ConnectRequest.ack_seq: everything up to it is handled.
	acknowledged atomic.Uint64
	// Whether the server said anything at all, whether it said that the run is over, whether it
	// was told that the recommender leaves, and whether that the catalogue is refused.
	heard, runOver, leaving, refused atomic.Bool
}

// received is a message, and the work that it is, if any; no message: leave.
type received struct {
	message *pb.ConnectResponse
	work    *work
}

func newSession(
	id, instance string, l *link, o *options, e *engagement, renew func() (*engagement, error),
) *session {
	s := &session{
		id: id, instance: instance, link: l, options: o, logger: o.logger,
		engagement: e, renew: renew,
		inbox: newQueue[received](), outbox: newQueue[payload](),
	}
	s.works = newWorks(s.outbox.put, s.logger)
	return s
}

// run serves until the stream ends, or until the context is done and what is under way is finished.
// The text says why a session was lost. Errors are final.
func (s *session) run(ctx context.Context) (how, string, error) {
	s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Register{
		Register: offer(s.id, s.instance, s.engagement, s.options),
	}})
	mine, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() {
		s.leave()
		time.AfterFunc(grace, cut)
	})()
	stream, err := s.link.connect(mine)
	if err != nil {
		return s.ended(nil, err)
	}
	conducting, stop := context.WithCancel(mine)
	reader, writer, conductor := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { reader <- s.read(stream) }()
	go func() { writer <- s.write(mine, stream) }()
	go func() { conductor <- s.conduct(conducting) }()
	var conducted, ended error
	select {
	case conducted = <-conductor:
		s.goodbye(conducted)
		timer := time.AfterFunc(grace, cut)
		ended = <-reader
		timer.Stop()
	case ended = <-reader:
		s.works.withdrawAll()
		if !s.runOver.Load() { // else the last feedback is still owed to the recommender
			stop()
		}
		if conducted = <-conductor; !isFinal(conducted) {
			conducted = nil // it was stopped: the reader knows why
		}
	}
	s.works.withdrawAll()
	stop()
	cut()
	<-writer
	return s.ended(conducted, ended)
}

// leave says Drain, and lets the conductor finish what came before.
func (s *session) leave() {
	s.leaving.Store(true)
	s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Drain{Drain: &pb.Drain{
		Grace:  durationpb.New(grace),
		Reason: &rpcstatus.Status{Message: "the recommender leaves"},
	}}})
	s.inbox.put(received{})
}

// goodbye closes our half once the conductor is done, and says what it failed with.
func (s *session) goodbye(err error) {
	if isFinal(err) && !s.refused.Load() {
		s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Drain{
			Drain: &pb.Drain{Reason: internal(err)},
		}})
	}
	s.outbox.close()
}

// ended is how the session ended, by what the conductor and the reader came to.
func (s *session) ended(conducted, read error) (how, string, error) {
	switch {
	case isFinal(conducted):
		return lost, "", conducted
	case s.leaving.Load():
		return left, "", nil
	case s.runOver.Load():
		return runOver, "", nil
	}
	text := "the server closed the stream"
	for _, err := range []error{read, conducted} {
		if err == nil || errors.Is(err, io.EOF) {
			continue
		}
		said := status.Convert(err)
		words := oneLine(said.Message(), lineChars)
		if _, no := final[said.Code()]; no {
			return lost, "", &RefusedError{said.Code(), words}
		}
		text = fmt.Sprintf("%s (%s)", words, nameOf(said.Code()))
	}
	return lost, text, nil
}

// isFinal tells errors of the SDK from those of a call, after which it comes back.
func isFinal(err error) bool {
	var recommender *RecommenderError
	var protocol *ProtocolError
	return errors.As(err, &recommender) || errors.As(err, &protocol)
}

// send puts a message of the SDK's own into the outbox.
func (s *session) send(request *pb.ConnectRequest) {
	request.AckSeq = s.acknowledged.Load()
	s.outbox.put(serialize(request))
}

func (s *session) write(ctx context.Context, stream *stream) error {
	for {
		message, ok := s.outbox.take(ctx)
		if !ok {
			return stream.closeSend()
		}
		if err := stream.send(message); err != nil {
			return err // the reader learns why
		}
	}
}

func (s *session) read(stream *stream) error {
	for {
		message, err := stream.receive()
		if err != nil {
			return err
		}
		s.heard.Store(true)
		switch kind := message.GetMessage().(type) {
		case nil: // of a later version
		case *pb.ConnectResponse_Ping:
			s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_Pong{
				Pong: &pb.Pong{Nonce: kind.Ping.GetNonce()},
			}})
		case *pb.ConnectResponse_CancelWork:
			s.works.withdraw(kind.CancelWork.GetWorkId())
		case *pb.ConnectResponse_WorkOutcome:
			s.outcome(kind.WorkOutcome)
		default:
			work := requested(message, time.Now())
			if work != nil {
				s.works.arrived(work.id)
			}
			if drain := message.GetDrain(); drain != nil {
				s.runOver.Store(drain.GetReason().GetCode() != int32(codes.Unavailable))
			}
			s.inbox.put(received{message, work})
		}
	}
}

// outcome logs what became of an answer that was not simply accepted.
func (s *session) outcome(outcome *pb.WorkOutcome) {
	name := strings.TrimPrefix(outcome.GetDisposition().String(), "DISPOSITION_")
	s.logger.Info("an answer was not simply accepted",
		"work", oneLine(outcome.GetWorkId(), lineChars),
		"outcome", name,
		"why", oneLine(outcome.GetStatus().GetMessage(), lineChars))
}
