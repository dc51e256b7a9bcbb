package recarena

import (
	"slices"
	"testing"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

func TestWhatWasWithdrawnKeepsItsNumberAndIsNotAvailable(t *testing.T) {
	catalog := NewCatalog("v2", []*pb.Item{
		{ItemId: "a"}, {ItemId: "b", Withdrawn: true}, {ItemId: "c"},
	})
	if !slices.Equal(catalog.AvailableIDs, []string{"a", "c"}) {
		t.Errorf("available: %v", catalog.AvailableIDs)
	}
	for number, id := range catalog.IDs {
		if found, ok := catalog.NumberOf(id); !ok || found != number {
			t.Errorf("%s has number %d, not %d", id, found, number)
		}
	}
	if catalog.Len() != 3 {
		t.Errorf("%d items", catalog.Len())
	}
}
