package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/recarena/recarena/clients/go"
	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// firstLongRound is the first round that waits for a line of stdin before it is ready.
const firstLongRound = 100

var (
	made, closed atomic.Int64
	stdin        = bufio.NewReader(os.Stdin)
)

// conforming lists by item number, and tells what it was told when it is talked to.
type conforming struct {
	instance int64
	calls    []string
	run      *recarena.Run
	// Lists of a columnar work, used again for the next.
	numbers, lengths []uint32
}

func newConforming() recarena.Recommender {
	return &conforming{instance: made.Add(1), calls: []string{}}
}

func (c *conforming) told(format string, values ...any) {
	c.calls = append(c.calls, fmt.Sprintf(format, values...))
}

func (c *conforming) Start(_ context.Context, run *recarena.Run) error {
	c.run = run
	c.told("start %s %s %d", run.ID, run.Catalog.Version, run.Catalog.Len())
	return refused(run.Catalog)
}

func (c *conforming) CatalogChanged(_ context.Context, run *recarena.Run) error {
	c.run = run
	c.told("catalogue %s %d", run.Catalog.Version, run.Catalog.Len())
	return refused(run.Catalog)
}

// refused is the error where the catalogue is one to refuse.
func refused(catalog *recarena.Catalog) error {
	if catalog.Version == "unusable" {
		return errors.New("told to refuse")
	}
	return nil
}

func (c *conforming) Feedback(_ context.Context, batch *pb.FeedbackBatch) error {
	c.told("feedback %d %s %d", batch.Round, batch.Cursor, len(batch.Interactions))
	return nil
}

func (c *conforming) FeedbackColumns(_ context.Context, batch *pb.FeedbackColumns) error {
	c.told("feedback %d %s %d", batch.Round, batch.Cursor, len(batch.UserNumbers))
	return nil
}

func (c *conforming) Ready(_ context.Context, round int) error {
	if round >= firstLongRound {
		awaitLine()
	}
	c.told("ready %d", round)
	return nil
}

func (c *conforming) Rank(_ context.Context, queries []*pb.RankQuery) ([]recarena.List, error) {
	lists := make([]recarena.List, len(queries))
	for i, query := range queries {
		lists[i] = c.list(query)
	}
	return lists, nil
}

func (c *conforming) Search(_ context.Context, queries []*pb.SearchQuery) ([]recarena.List, error) {
	texts := make([]string, len(queries))
	for i, query := range queries {
		texts[i] = query.Text
	}
	if err := obey(texts); err != nil {
		return nil, err
	}
	lists := make([]recarena.List, len(queries))
	for i, query := range queries {
		if query.Text != "nothing" {
			lists[i] = c.list(query)
		}
	}
	return lists, nil
}

func (c *conforming) RankColumns(_ context.Context, batch *pb.RankBatch) (recarena.Columns, error) {
	return c.columns(batch, func(int) bool { return false }), nil
}

func (c *conforming) SearchColumns(
	_ context.Context, batch *pb.SearchBatch,
) (recarena.Columns, error) {
	if err := obey(batch.Texts); err != nil {
		return recarena.Columns{}, err
	}
	return c.columns(batch, func(i int) bool {
		return batch.Texts[batch.TextNumbers[i]] == "nothing"
	}), nil
}

func (c *conforming) Converse(_ context.Context, work *pb.ConverseWork) (recarena.Reply, error) {
	said, err := json.Marshal(map[string]any{
		"instance": c.instance, "closed": closed.Load(), "calls": c.calls,
	})
	if err != nil {
		return recarena.Reply{}, err
	}
	ids := c.run.Catalog.IDs
	offered := ids[:min(int(work.ResultCount), len(ids))]
	return recarena.Reply{
		Text: string(said), List: recarena.List{IDs: offered, Token: "talk"},
	}, nil
}

func (c *conforming) Close() error {
	closed.Add(1)
	return nil
}

// query is what queries for lists and for searches have in common.
type query interface {
	GetUser() *pb.UserContext
	GetResultCount() uint32
	GetOffset() uint32
	GetCandidates() *pb.CandidateSet
	GetExplanationMode() pb.ExplanationMode
}

// list is the rich list of one query.
func (c *conforming) list(query query) recarena.List {
	user, ids := query.GetUser().GetUserNumber(), c.run.Catalog.IDs
	page := make([]string, 0, query.GetResultCount())
	excluded := query.GetCandidates().GetExcludedItemIds()
	rank, skip := uint64(query.GetOffset()), uint32(0)
	if len(excluded) > 0 { // ranks count what is left
		rank, skip = 0, query.GetOffset()
	}
	for size := uint64(len(ids)); rank < size && len(page) < cap(page); rank++ {
		id := ids[(uint64(user)+rank)%size]
		switch {
		case slices.Contains(excluded, id):
		case skip > 0:
			skip--
		default:
			page = append(page, id)
		}
	}
	list := recarena.List{Token: "user " + strconv.FormatUint(uint64(user), 10)}
	switch query.GetExplanationMode() {
	case pb.ExplanationMode_EXPLANATION_MODE_TEXT, pb.ExplanationMode_EXPLANATION_MODE_STRUCTURED:
		for _, id := range page {
			list.Items = append(list.Items, explained(id))
		}
	default:
		list.IDs = page
	}
	return list
}

func explained(id string) *pb.RankedItem {
	return &pb.RankedItem{ItemId: id, Explanation: &pb.Explanation{
		Text:     "because of " + id,
		Evidence: []*pb.Evidence{{Kind: pb.Evidence_KIND_ITEM, Reference: id}},
	}}
}

// batch is what batches for lists and for searches have in common.
type batch interface {
	GetUserNumbers() []uint32
	GetResultCount() uint32
	GetOffsets() []uint32
}

// columns are the lists of all users of a batch; those of some are empty.
func (c *conforming) columns(batch batch, empty func(index int) bool) recarena.Columns {
	c.numbers, c.lengths = c.numbers[:0], c.lengths[:0]
	size, offsets := uint64(c.run.Catalog.Len()), batch.GetOffsets()
	for i, user := range batch.GetUserNumbers() {
		from := uint64(0)
		if len(offsets) > 0 {
			from = uint64(offsets[i])
		}
		to := min(from+uint64(batch.GetResultCount()), size)
		if empty(i) {
			to = from
		}
		before := len(c.numbers)
		for rank := from; rank < to; rank++ {
			c.numbers = append(c.numbers, uint32((uint64(user)+rank)%size))
		}
		c.lengths = append(c.lengths, uint32(len(c.numbers)-before))
	}
	return recarena.Columns{ItemNumbers: c.numbers, ListLengths: c.lengths}
}

// obey does what the words of searches ask for.
func obey(texts []string) error {
	if slices.Contains(texts, "fail") {
		return errors.New("told to fail")
	}
	if slices.Contains(texts, "wait") {
		awaitLine()
	}
	return nil
}

func awaitLine() { _, _ = stdin.ReadString('\n') }
