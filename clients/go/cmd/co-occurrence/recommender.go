package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/recarena/recarena/clients/go"
	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

const (
	// Latest items of a user against which a new one is counted, and by which items are scored.
	paired, scored = 100, 50
	method         = "co-occurrence-template"
)

// history is the items that a user watched, in the order in which they were watched first.
type history struct {
	items []int
	has   map[int]bool
}

func (h *history) latest(n int) []int {
	if h == nil {
		return nil
	}
	return h.items[max(0, len(h.items)-n):]
}

func (h *history) watched(item int) bool { return h != nil && h.has[item] }

// coOccurrence counts pairs as feedback comes; it ranks and searches with the counts.
type coOccurrence struct {
	catalog *recarena.Catalog
	// Numbers of the items that may be shown.
	available []int
	titles    []map[string]bool
	watches   []int
	pairs     []map[int]int
	users     map[string]*history
	// All that may be shown by user, best first; worked out once until feedback comes again.
	orders map[string][]int
	// All that was watched, in order.
	past []watch
}

type watch struct{ user, item string }

func newCoOccurrence() recarena.Recommender { return &coOccurrence{} }

func (c *coOccurrence) Start(_ context.Context, run *recarena.Run) error {
	size := run.Catalog.Len()
	*c = coOccurrence{
		catalog: run.Catalog,
		titles:  make([]map[string]bool, size),
		watches: make([]int, size),
		pairs:   make([]map[int]int, size),
		users:   map[string]*history{},
		orders:  map[string][]int{},
	}
	for number, item := range run.Catalog.Items {
		c.titles[number] = words(item.GetTitle())
		c.pairs[number] = map[int]int{}
		if !item.GetWithdrawn() {
			c.available = append(c.available, number)
		}
	}
	return nil
}

// CatalogChanged counts everything anew, with the items that there are now.
func (c *coOccurrence) CatalogChanged(ctx context.Context, run *recarena.Run) error {
	past := c.past
	if err := c.Start(ctx, run); err != nil {
		return err
	}
	for _, one := range past {
		c.watch(one)
	}
	return nil
}

func (c *coOccurrence) Feedback(_ context.Context, batch *pb.FeedbackBatch) error {
	clear(c.orders)
	for _, done := range batch.GetInteractions() {
		if isWatch(done.GetType()) {
			c.watch(watch{done.GetUserId(), done.GetItemId()})
		}
	}
	return nil
}

func (c *coOccurrence) watch(one watch) {
	c.past = append(c.past, one)
	item, known := c.catalog.NumberOf(one.item)
	user := c.users[one.user]
	if !known || user.watched(item) {
		return
	}
	if user == nil {
		user = &history{has: map[int]bool{}}
		c.users[one.user] = user
	}
	for _, other := range user.latest(paired) {
		c.pairs[item][other]++
		c.pairs[other][item]++
	}
	user.items = append(user.items, item)
	user.has[item] = true
	c.watches[item]++
}

func isWatch(kind pb.Interaction_Type) bool {
	switch kind {
	case pb.Interaction_TYPE_VIEW_ITEM, pb.Interaction_TYPE_LIKE, pb.Interaction_TYPE_DISLIKE,
		pb.Interaction_TYPE_RATE, pb.Interaction_TYPE_SHARE:
		return true
	}
	return false
}

func (c *coOccurrence) Rank(_ context.Context, queries []*pb.RankQuery) ([]recarena.List, error) {
	lists := make([]recarena.List, len(queries))
	for i, query := range queries {
		lists[i] = c.page(query, c.order(query.GetUser().GetUserId()))
	}
	return lists, nil
}

func (c *coOccurrence) Search(
	_ context.Context, queries []*pb.SearchQuery,
) ([]recarena.List, error) {
	lists := make([]recarena.List, len(queries))
	for i, query := range queries {
		lists[i] = c.page(query, c.found(words(query.GetText())))
	}
	return lists, nil
}

// query is what queries for lists and for searches have in common.
type query interface {
	GetUser() *pb.UserContext
	GetResultCount() uint32
	GetOffset() uint32
	GetCandidates() *pb.CandidateSet
	GetExplanationMode() pb.ExplanationMode
}

// page is the part of an order that a query wants, without what is excluded.
func (c *coOccurrence) page(query query, order []int) recarena.List {
	excluded := map[string]bool{}
	for _, id := range query.GetCandidates().GetExcludedItemIds() {
		excluded[id] = true
	}
	skip, count := int(query.GetOffset()), int(query.GetResultCount())
	mode := query.GetExplanationMode()
	wanted := mode == pb.ExplanationMode_EXPLANATION_MODE_TEXT ||
		mode == pb.ExplanationMode_EXPLANATION_MODE_STRUCTURED
	var list recarena.List
	for _, item := range order {
		if len(list.Items) == count {
			break
		}
		switch {
		case excluded[c.catalog.IDs[item]]:
		case skip > 0:
			skip--
		default:
			list.Items = append(list.Items, c.ranked(query.GetUser().GetUserId(), item, wanted))
		}
	}
	return list
}

// order is all items that may be shown: first those that the user has not watched, then by score, by watches and by
// place in the catalogue.
func (c *coOccurrence) order(userID string) []int {
	if order, ok := c.orders[userID]; ok {
		return order
	}
	user, scores := c.users[userID], c.scores(userID)
	order := slices.Clone(c.available)
	slices.SortFunc(order, func(a, b int) int {
		if seen := user.watched(a); seen != user.watched(b) {
			if seen {
				return 1
			}
			return -1
		}
		return cmp.Or(
			cmp.Compare(scores[b], scores[a]), cmp.Compare(c.watches[b], c.watches[a]), cmp.Compare(a, b),
		)
	})
	c.orders[userID] = order
	return order
}

func (c *coOccurrence) scores(userID string) []float64 {
	scores := make([]float64, c.catalog.Len())
	for _, one := range c.users[userID].latest(scored) {
		for item := range c.pairs[one] {
			scores[item] += c.adds(one, item)
		}
	}
	return scores
}

// adds is what a watched item adds to the score of another.
func (c *coOccurrence) adds(watched, item int) float64 {
	pairs := c.pairs[watched][item]
	if pairs == 0 {
		return 0
	}
	return float64(pairs) / math.Sqrt(float64(c.watches[watched]*c.watches[item]))
}

// found is the items whose titles have words of a search, more of them first, then by watches and
// by place in the catalogue.
func (c *coOccurrence) found(wanted map[string]bool) []int {
	hits := map[int]int{}
	for _, item := range c.available {
		for word := range wanted {
			if c.titles[item][word] {
				hits[item]++
			}
		}
	}
	found := make([]int, 0, len(hits))
	for item := range hits {
		found = append(found, item)
	}
	slices.SortFunc(found, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(hits[b], hits[a]), cmp.Compare(c.watches[b], c.watches[a]), cmp.Compare(a, b),
		)
	})
	return found
}

// ranked is an item, with the watched item that adds most to its score where a reason is wanted.
func (c *coOccurrence) ranked(userID string, item int, wanted bool) *pb.RankedItem {
	ranked := &pb.RankedItem{ItemId: c.catalog.IDs[item]}
	if !wanted {
		return ranked
	}
	because, most := -1, 0.0
	for _, one := range c.users[userID].latest(scored) {
		if adds := c.adds(one, item); adds > most {
			because, most = one, adds
		}
	}
	if because >= 0 {
		reason := c.catalog.Items[because]
		ranked.Explanation = &pb.Explanation{
			Text:     fmt.Sprintf("Because you watched %s.", reason.GetTitle()),
			Locale:   "en",
			Evidence: []*pb.Evidence{{Kind: pb.Evidence_KIND_ITEM, Reference: reason.GetItemId()}},
			Method:   method,
		}
	}
	return ranked
}
