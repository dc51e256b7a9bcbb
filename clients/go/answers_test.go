package recarena

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

func TestListsBecomeAnAnswer(t *testing.T) {
	scored := &pb.RankedItem{ItemId: "c", Score: proto.Float64(1)}
	found, err := listed("Rank", []List{
		{IDs: []string{"a", "b"}, Token: "t"}, {}, {Items: []*pb.RankedItem{scored}}, {IDs: []string{"d"}},
	}, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := &pb.RankResult{Complete: true, Lists: []*pb.RankedList{
		{Items: []*pb.RankedItem{{ItemId: "a"}, {ItemId: "b"}}, AttributionToken: "t"},
		{QueryIndex: 1},
		{QueryIndex: 2, Items: []*pb.RankedItem{scored}},
		{QueryIndex: 3, Items: []*pb.RankedItem{{ItemId: "d"}}},
	}}
	if !proto.Equal(found, want) {
		t.Errorf("%v is wanted, found %v", want, found)
	}
}

func TestListsThatDoNotFitAreNamed(t *testing.T) {
	both := List{IDs: []string{"a"}, Items: []*pb.RankedItem{{ItemId: "a"}}}
	for want, lists := range map[string][]List{
		"Rank returned 1 lists for 2 queries": {{}},
		"Rank, list 1: has IDs and Items":     {{}, both},
	} {
		if _, err := listed("Rank", lists, 2); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is wanted, it says %v", want, err)
		}
	}
}

func TestColumnsFitOrAreNamed(t *testing.T) {
	numbers := []uint32{1, 2, 3, 4}
	for name, test := range map[string]struct {
		columns Columns
		want    string
	}{
		"all lists whole":  {Columns{ItemNumbers: numbers}, ""},
		"lists differ":     {Columns{numbers, []uint32{1, 3}}, ""},
		"too few numbers":  {Columns{ItemNumbers: numbers[:3]}, "3 items for 2 users × 2"},
		"too few lengths":  {Columns{numbers, []uint32{4}}, "1 ListLengths for 2 users"},
		"lengths too long": {Columns{numbers, []uint32{4, 4}}, "add up to 8"},
		"lengths overflow": {Columns{numbers, []uint32{1<<32 - 1, 5}}, "add up to 4294967300"},
	} {
		_, err := inColumns("RankColumns", test.columns, 2, 2)
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %q is wanted, it says %v", name, test.want, err)
		}
	}
}
