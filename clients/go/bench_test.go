package recarena

import (
	"context"
	"strconv"
	"testing"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

const listLength = 10

// lister ranks as fast as one can, so that what is measured is the way there and back.
type lister struct {
	run     *Run
	numbers []uint32
}

func (l *lister) Start(_ context.Context, run *Run) error {
	l.run = run
	return nil
}

func (l *lister) Rank(_ context.Context, queries []*pb.RankQuery) ([]List, error) {
	lists := make([]List, len(queries))
	for i := range queries {
		lists[i].IDs = l.run.Catalog.IDs[:listLength]
	}
	return lists, nil
}

func (l *lister) RankColumns(_ context.Context, batch *pb.RankBatch) (Columns, error) {
	l.numbers = l.numbers[:0]
	for _, user := range batch.UserNumbers {
		for rank := range uint32(listLength) {
			l.numbers = append(l.numbers, (user+rank)%10)
		}
	}
	return Columns{ItemNumbers: l.numbers}, nil
}

func BenchmarkLists(b *testing.B) {
	const richUsers, columnarUsers, atOnce = 256, 16_384, 4
	rich := &pb.RankWork{Header: &pb.WorkHeader{}}
	for n := range richUsers {
		rich.Queries = append(rich.Queries, &pb.RankQuery{
			QueryIndex: uint32(n), ResultCount: listLength,
			User: &pb.UserContext{UserId: "u" + strconv.Itoa(n), UserNumber: uint32(n)},
		})
	}
	columns := &pb.RankBatch{Header: &pb.WorkHeader{}, ResultCount: listLength}
	for n := range columnarUsers {
		columns.UserNumbers = append(columns.UserNumbers, uint32(n))
	}
	for name, test := range map[string]struct {
		encoding Encoding
		users    int
		work     func(id string) *pb.ConnectResponse
	}{
		"rich": {Rich, richUsers, func(id string) *pb.ConnectResponse {
			rich.Header.WorkId = id
			return &pb.ConnectResponse{Message: &pb.ConnectResponse_RankWork{RankWork: rich}}
		}},
		"columnar": {Columnar, columnarUsers, func(id string) *pb.ConnectResponse {
			columns.Header.WorkId = id
			return &pb.ConnectResponse{Message: &pb.ConnectResponse_RankBatch{RankBatch: columns}}
		}},
	} {
		b.Run(name, func(b *testing.B) {
			server := newScriptedServer(b, nil)
			serve(b, server.address, &lister{}, WithEncoding(test.encoding))
			session := server.begin(b)
			b.ResetTimer()
			for n := range b.N + atOnce {
				if n < b.N {
					session.send(test.work(strconv.Itoa(n)))
				}
				if n >= atOnce {
					session.receive()
				}
			}
			b.ReportMetric(float64(b.N*test.users)/b.Elapsed().Seconds(), "lists/s")
		})
	}
}
