package recarena

import (
	"context"
	"time"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// work is a request for an answer, of any kind.
type work struct {
	id string
	// When the server withdraws it; zero: unknown.
	deadline time.Time
	// The method of the recommender that answers it.
	method string
	answer func(context.Context, Recommender) (*pb.ConnectRequest, error)
}

// requested is the work that a message is, nil for other messages. It came at this moment.
func requested(message *pb.ConnectResponse, at time.Time) *work {
	var one *work
	var header *pb.WorkHeader
	switch kind := message.GetMessage().(type) {
	case *pb.ConnectResponse_RankWork:
		one, header = rank(kind.RankWork), kind.RankWork.GetHeader()
	case *pb.ConnectResponse_SearchWork:
		one, header = search(kind.SearchWork), kind.SearchWork.GetHeader()
	case *pb.ConnectResponse_RankBatch:
		one, header = rankColumns(kind.RankBatch), kind.RankBatch.GetHeader()
	case *pb.ConnectResponse_SearchBatch:
		one, header = searchColumns(kind.SearchBatch), kind.SearchBatch.GetHeader()
	case *pb.ConnectResponse_ConverseWork:
		one, header = converse(kind.ConverseWork), kind.ConverseWork.GetHeader()
	default:
		return nil
	}
	one.id = header.GetWorkId()
	if timeout := header.GetTimeout().AsDuration(); timeout > 0 {
		one.deadline = at.Add(timeout)
	}
	return one
}

func rank(asked *pb.RankWork) *work {
	const method = "Rank"
	queries := asked.GetQueries()
	return &work{method: method, answer: func(ctx context.Context, r Recommender) (*pb.ConnectRequest, error) {
		lists, err := r.Rank(ctx, queries)
		return inLists(asked.GetHeader(), method, lists, err, len(queries))
	}}
}

func search(asked *pb.SearchWork) *work {
	const method = "Search"
	queries := asked.GetQueries()
	return &work{method: method, answer: func(ctx context.Context, r Recommender) (*pb.ConnectRequest, error) {
		searcher, ok := r.(Searcher)
		if !ok {
			return nil, lacking(r, method)
		}
		lists, err := searcher.Search(ctx, queries)
		return inLists(asked.GetHeader(), method, lists, err, len(queries))
	}}
}

func rankColumns(asked *pb.RankBatch) *work {
	const method = "RankColumns"
	return &work{method: method, answer: func(ctx context.Context, r Recommender) (*pb.ConnectRequest, error) {
		ranker, ok := r.(ColumnRanker)
		if !ok {
			return nil, lacking(r, method)
		}
		columns, err := ranker.RankColumns(ctx, asked)
		users, count := len(asked.GetUserNumbers()), asked.GetResultCount()
		return inNumbers(asked.GetHeader(), method, columns, err, users, count)
	}}
}

func searchColumns(asked *pb.SearchBatch) *work {
	const method = "SearchColumns"
	return &work{method: method, answer: func(ctx context.Context, r Recommender) (*pb.ConnectRequest, error) {
		searcher, ok := r.(ColumnSearcher)
		if !ok {
			return nil, lacking(r, method)
		}
		columns, err := searcher.SearchColumns(ctx, asked)
		users, count := len(asked.GetUserNumbers()), asked.GetResultCount()
		return inNumbers(asked.GetHeader(), method, columns, err, users, count)
	}}
}

func converse(asked *pb.ConverseWork) *work {
	const method = "Converse"
	return &work{method: method, answer: func(ctx context.Context, r Recommender) (*pb.ConnectRequest, error) {
		converser, ok := r.(Converser)
		if !ok {
			return nil, lacking(r, method)
		}
		reply, err := converser.Converse(ctx, asked)
		if err != nil {
			return nil, err
		}
		result, err := replied(method, reply)
		if err != nil {
			return nil, err
		}
		result.WorkId = asked.GetHeader().GetWorkId()
		return &pb.ConnectRequest{Message: &pb.ConnectRequest_ConverseResult{ConverseResult: result}}, nil
	}}
}

func inLists(
	header *pb.WorkHeader, method string, lists []List, err error, wanted int,
) (*pb.ConnectRequest, error) {
	if err != nil {
		return nil, err
	}
	result, err := listed(method, lists, wanted)
	if err != nil {
		return nil, err
	}
	result.WorkId = header.GetWorkId()
	return &pb.ConnectRequest{Message: &pb.ConnectRequest_RankResult{RankResult: result}}, nil
}

func inNumbers(
	header *pb.WorkHeader, method string, columns Columns, err error, users int, count uint32,
) (*pb.ConnectRequest, error) {
	if err != nil {
		return nil, err
	}
	result, err := inColumns(method, columns, users, count)
	if err != nil {
		return nil, err
	}
	result.WorkId = header.GetWorkId()
	return &pb.ConnectRequest{Message: &pb.ConnectRequest_RankBatchResult{RankBatchResult: result}}, nil
}

func lacking(r Recommender, method string) error {
	return wrongAnswer("%s has no %s", typeName(r), method)
}
