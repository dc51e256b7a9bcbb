// A complete recommender. Start it before the server or after it.
package main

import (
	"context"
	"log"
	"os"
	"slices"

	"github.com/recarena/recarena/clients/go"
	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// popular shows what was watched most, without what the user may not see again.
type popular struct {
	watches map[string]int
	best    []string
}

func (p *popular) Start(_ context.Context, run *recarena.Run) error {
	p.watches, p.best = map[string]int{}, slices.Clone(run.Catalog.AvailableIDs)
	return nil
}

func (p *popular) CatalogChanged(_ context.Context, run *recarena.Run) error {
	p.best = slices.Clone(run.Catalog.AvailableIDs)
	return nil
}

func (p *popular) Feedback(_ context.Context, batch *pb.FeedbackBatch) error {
	for _, interaction := range batch.Interactions {
		p.watches[interaction.ItemId]++
	}
	return nil
}

func (p *popular) Ready(context.Context, int) error {
	slices.SortStableFunc(p.best, func(a, b string) int { return p.watches[b] - p.watches[a] })
	return nil
}

func (p *popular) Rank(_ context.Context, queries []*pb.RankQuery) ([]recarena.List, error) {
	lists := make([]recarena.List, len(queries))
	for i, query := range queries {
		fresh := slices.DeleteFunc(slices.Clone(p.best), func(id string) bool {
			return slices.Contains(query.Candidates.GetExcludedItemIds(), id)
		})
		from := min(int(query.Offset), len(fresh))
		lists[i].IDs = fresh[from:min(from+int(query.ResultCount), len(fresh))]
	}
	return lists, nil
}

func main() {
	server := append(os.Args[1:], recarena.DefaultServer)[0]
	made := func() recarena.Recommender { return &popular{} }
	ctx := recarena.UntilSignal(context.Background())
	if err := recarena.Serve(ctx, made, "popular", recarena.WithServer(server)); err != nil {
		log.Fatal(err)
	}
}
