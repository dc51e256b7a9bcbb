package recarena

import (
	"context"
	"slices"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// conduct works through the messages of a session in their order, until one side wants to leave.
// Its error is final, or that of a call, or the context's.
func (s *session) conduct(ctx context.Context) error {
	first, ok := s.inbox.take(ctx)
	if !ok || first.message == nil {
		return ctx.Err()
	}
	if first.message.GetDrain() != nil {
		return nil
	}
	registered := first.message.GetRegistered()
	if registered == nil {
		return &ProtocolError{kindOf(first.message) + " came before registered"}
	}
	if err := s.begin(ctx, registered); err != nil {
		return err
	}
	s.acknowledged.Store(first.message.GetSeq())
	for {
		next, ok := s.inbox.take(ctx)
		if !ok || next.message == nil || next.message.GetDrain() != nil {
			return ctx.Err()
		}
		if err := s.handle(ctx, next); err != nil {
			return err
		}
		s.acknowledged.Store(next.message.GetSeq())
	}
}

func (s *session) handle(ctx context.Context, next received) error {
	if next.work != nil {
		return s.works.do(ctx, next.work, s.engagement, s.acknowledged.Load())
	}
	switch kind := next.message.GetMessage().(type) {
	case *pb.ConnectResponse_FeedbackBatch:
		return s.engagement.feedback(ctx, kind.FeedbackBatch)
	case *pb.ConnectResponse_FeedbackColumns:
		return s.engagement.feedbackColumns(ctx, kind.FeedbackColumns)
	case *pb.ConnectResponse_RoundStarted:
		round := kind.RoundStarted.GetRound()
		if err := s.engagement.ready(ctx, round); err != nil {
			return err
		}
		s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_RoundReady{
			RoundReady: &pb.RoundReady{Round: round},
		}})
	case *pb.ConnectResponse_CatalogChanged:
		return s.changeCatalog(ctx, kind.CatalogChanged)
	}
	return nil
}

// begin takes the run that the server gives, with the same recommender where it was resumed.
func (s *session) begin(ctx context.Context, registered *pb.Registered) error {
	name := typeName(s.engagement.recommender)
	if s.options.encoding == Columnar && !isColumnar(registered) {
		return &ProtocolError{
			"the server does not know COLUMNAR, and " + name + " is served in that encoding alone"}
	}
	if largest := registered.GetLimits().GetMaxMessageBytes(); largest > 0 {
		s.works.maxBytes = int(largest)
	}
	if run := s.engagement.run; run != nil && !registered.GetResumed() {
		s.logger.Info("the run could not be resumed, starting afresh", "run", run.ID)
		s.engagement.close(grace)
		next, err := s.renew()
		if err != nil {
			return err
		}
		s.engagement = next
	}
	e, version := s.engagement, registered.GetCatalogVersion()
	e.sessionID = registered.GetSessionId()
	switch {
	case e.run == nil:
		run, err := s.runOf(ctx, registered)
		if err != nil {
			return err
		}
		encoding := "rich"
		if run.Columnar {
			encoding = "columnar"
		}
		s.logger.Info("serving a run", "run", run.ID, "recommender", s.id, "users", run.UserCount,
			"items", run.Catalog.Len(), "encoding", encoding)
		if err := s.orRefuse(e.start(ctx, run), version); err != nil {
			return err
		}
	default:
		s.logger.Info("back in the run", "run", e.run.ID, "recommender", s.id)
		if err := s.orRefuse(e.quiet(ctx), version); err != nil {
			return err
		}
		if e.run.Catalog.Version != version {
			run, err := s.runOf(ctx, registered)
			if err != nil {
				return err
			}
			if err := s.orRefuse(e.catalogChanged(ctx, run), version); err != nil {
				return err
			}
		}
	}
	s.catalogReady(version)
	return nil
}

func (s *session) changeCatalog(ctx context.Context, changed *pb.CatalogChanged) error {
	version := changed.GetCatalogVersion()
	if e := s.engagement; e.run.Catalog.Version != version {
		var same []*pb.Item
		if items := changed.GetChangedItems(); len(items) > 0 {
			same = e.run.Catalog.Items[:min(int(slices.Min(items)), e.run.Catalog.Len())]
		}
		catalog, err := s.link.catalog(ctx, version, int(changed.GetCatalogSize()), same)
		if err != nil {
			return err
		}
		run := *e.run
		run.Catalog = catalog
		if err := s.orRefuse(e.catalogChanged(ctx, &run), version); err != nil {
			return err
		}
	}
	s.catalogReady(version)
	return nil
}

// runOf is the run that the server gives, with its catalogue.
func (s *session) runOf(ctx context.Context, registered *pb.Registered) (*Run, error) {
	size := int(registered.GetCatalogSize())
	catalog, err := s.link.catalog(ctx, registered.GetCatalogVersion(), size, nil)
	if err != nil {
		return nil, err
	}
	return &Run{
		ID:          registered.GetRunId(),
		Epoch:       int(registered.GetEpoch()),
		Catalog:     catalog,
		UserCount:   int(registered.GetUserCount()),
		PageSize:    int(registered.GetPageSize()),
		RoundLimit:  int(registered.GetRoundLimit()),
		ArmIDs:      registered.GetArmIds(),
		Columnar:    isColumnar(registered),
		WorkTimeout: registered.GetWorkTimeout().AsDuration(),
	}, nil
}

func (s *session) catalogReady(version string) {
	s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_CatalogReady{
		CatalogReady: &pb.CatalogReady{CatalogVersion: version},
	}})
}

// orRefuse refuses the catalogue where the recommender failed with it.
func (s *session) orRefuse(err error, version string) error {
	if failure, ok := err.(*RecommenderError); ok {
		s.refused.Store(true)
		s.send(&pb.ConnectRequest{Message: &pb.ConnectRequest_CatalogReady{
			CatalogReady: &pb.CatalogReady{CatalogVersion: version, Error: internal(failure.Err)},
		}})
	}
	return err
}

// kindOf is the name of the field that a message has set.
func kindOf(message *pb.ConnectResponse) string {
	reflected := message.ProtoReflect()
	oneof := reflected.Descriptor().Oneofs().ByName("message")
	return string(reflected.WhichOneof(oneof).Name())
}
