package recarena

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

const (
	canRank     = pb.Capability_CAPABILITY_RANK
	canSearch   = pb.Capability_CAPABILITY_SEARCH
	canConverse = pb.Capability_CAPABILITY_CONVERSE
	canExplain  = pb.Capability_CAPABILITY_EXPLAIN
	canColumnar = pb.Capability_CAPABILITY_COLUMNAR
)

type bare struct{}

func (bare) Start(context.Context, *Run) error                     { return nil }
func (bare) Rank(context.Context, []*pb.RankQuery) ([]List, error) { return nil, nil }

type searching struct{ bare }

func (searching) Search(context.Context, []*pb.SearchQuery) ([]List, error) { return nil, nil }

type talking struct{ bare }

func (talking) Converse(context.Context, *pb.ConverseWork) (Reply, error) { return Reply{}, nil }

type inNumbersToo struct{ bare }

func (inNumbersToo) RankColumns(context.Context, *pb.RankBatch) (Columns, error) {
	return Columns{}, nil
}

type halfColumnar struct{ searching }

func (halfColumnar) RankColumns(context.Context, *pb.RankBatch) (Columns, error) {
	return Columns{}, nil
}

type whole struct{ halfColumnar }

func (whole) SearchColumns(context.Context, *pb.SearchBatch) (Columns, error) {
	return Columns{}, nil
}

func TestMethodsTellTheCapabilities(t *testing.T) {
	for name, test := range map[string]struct {
		recommender Recommender
		options     []Option
		want        []pb.Capability
	}{
		"Rank alone":     {bare{}, nil, []pb.Capability{canRank}},
		"Search":         {searching{}, nil, []pb.Capability{canRank, canSearch}},
		"Converse":       {&talking{}, nil, []pb.Capability{canRank, canConverse}},
		"RankColumns":    {inNumbersToo{}, nil, []pb.Capability{canRank, canColumnar}},
		"a form missing": {halfColumnar{}, nil, []pb.Capability{canRank, canSearch}},
		"all forms":      {whole{}, nil, []pb.Capability{canRank, canSearch, canColumnar}},
		"rich if wanted": {
			whole{}, []Option{WithEncoding(Rich)}, []pb.Capability{canRank, canSearch},
		},
		"named ones in their place": {
			whole{}, []Option{WithCapabilities(canExplain, canRank)}, []pb.Capability{canRank, canExplain},
		},
	} {
		found, err := features(test.recommender, with(t, test.options))
		if err != nil || !slices.Equal(found, test.want) {
			t.Errorf("%s: %v is wanted, found %v, %v", name, test.want, found, err)
		}
	}
}

func TestWhatCannotBeOfferedIsSaid(t *testing.T) {
	for want, test := range map[string]struct {
		recommender Recommender
		option      Option
	}{
		"halfColumnar has no SearchColumns":             {halfColumnar{}, WithEncoding(Columnar)},
		"CAPABILITY_COLUMNAR is offered, but bare has":  {bare{}, WithCapabilities(canColumnar)},
		"CAPABILITY_CONVERSE is offered, but whole has": {whole{}, WithCapabilities(canConverse)},
	} {
		_, err := features(test.recommender, with(t, []Option{test.option}))
		var wrong *OptionError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is wanted, it says %v", want, err)
		}
	}
}

func TestAWrongOptionIsSaidBeforeAnythingIsDone(t *testing.T) {
	for name, option := range map[string]Option{
		"a server without a port": WithServer("arena.example"),
		"no session":              WithSessions(0),
		"an unknown encoding":     WithEncoding(7),
		"a negative limit":        WithMaxUsersPerWork(-1),
		"a negative time":         WithRetryFor(-time.Second),
		"a token with its line":   WithToken("rct_secret\n"),
		"no logger":               WithLogger(nil),
	} {
		err := Serve(context.Background(), func() Recommender { return bare{} }, "bare", option)
		var wrong *OptionError
		if !errors.As(err, &wrong) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: Serve returned %v", name, err)
		}
	}
}

func with(t *testing.T, given []Option) *options {
	t.Helper()
	found, err := chosen(given)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
