package recarena

import pb "github.com/recarena/recarena/clients/go/recarenapb"

// Catalog is all items at one version. Read it, never change it: runs share it.
type Catalog struct {
	Version string
	// Items by their numbers. An item keeps its number for the whole run; one that was withdrawn has
	// Withdrawn set, and must be in no list any more.
	Items []*pb.Item
	// IDs in the same order: IDs[n] is the id of Items[n].
	IDs []string
	// AvailableIDs are those that lists may have, in the same order: of all items but those withdrawn.
	AvailableIDs []string
	numbers      map[string]int
}

// NewCatalog makes a catalogue of these items, numbered in their order.
func NewCatalog(version string, items []*pb.Item) *Catalog {
	catalog := &Catalog{
		Version:      version,
		Items:        items,
		IDs:          make([]string, len(items)),
		AvailableIDs: make([]string, 0, len(items)),
		numbers:      make(map[string]int, len(items)),
	}
	for number, item := range items {
		catalog.IDs[number] = item.GetItemId()
		catalog.numbers[item.GetItemId()] = number
		if !item.GetWithdrawn() {
			catalog.AvailableIDs = append(catalog.AvailableIDs, item.GetItemId())
		}
	}
	return catalog
}

// Len is the number of items.
func (c *Catalog) Len() int { return len(c.Items) }

// NumberOf is the number of an item, which the columnar form speaks in, and whether it is there.
func (c *Catalog) NumberOf(id string) (number int, ok bool) {
	number, ok = c.numbers[id]
	return number, ok
}
