package recarena

import (
	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// List is one ranked list, best first: IDs, or Items where scores or explanations go with them.
type List struct {
	// IDs of the catalogue.
	IDs []string
	// Items in place of IDs.
	Items []*pb.RankedItem
	// Token comes back with the feedback about the list (attribution_token).
	Token string
}

// Reply is one turn of a conversation: what is said, and the items offered with it.
type Reply struct {
	Text string
	List
}

// Columns are lists as item numbers, one list behind the other in the order of the work. They are
// read before the method is called again, so that the same memory may be used each time.
type Columns struct {
	ItemNumbers []uint32
	// ListLengths may stay empty where all lists have result_count items.
	ListLengths []uint32
}

// listed is the answer of a method to so many queries.
func listed(method string, lists []List, wanted int) (*pb.RankResult, error) {
	if len(lists) != wanted {
		return nil, wrongAnswer("%s returned %d lists for %d queries", method, len(lists), wanted)
	}
	// One allocation for all messages of a kind: works of hundreds of users are the rule.
	ids := 0
	for i := range lists {
		ids += len(lists[i].IDs)
	}
	room := make([]pb.RankedItem, ids)
	items := make([]*pb.RankedItem, 0, ids)
	answers := make([]pb.RankedList, len(lists))
	result := &pb.RankResult{Lists: make([]*pb.RankedList, len(lists)), Complete: true}
	for i := range lists {
		list, answer := &lists[i], &answers[i]
		answer.QueryIndex, answer.AttributionToken = uint32(i), list.Token
		answer.Items = list.Items
		if len(list.IDs) > 0 {
			if len(list.Items) > 0 {
				return nil, wrongAnswer("%s, list %d: has IDs and Items, give one of them", method, i)
			}
			from := len(items)
			for _, id := range list.IDs {
				item := &room[len(items)]
				item.ItemId = id
				items = append(items, item)
			}
			answer.Items = items[from:]
		}
		result.Lists[i] = answer
	}
	return result, nil
}

// inColumns is the answer of a method for so many users.
func inColumns(method string, columns Columns, users int, count uint32) (*pb.RankBatchResult, error) {
	found := uint64(len(columns.ItemNumbers))
	if len(columns.ListLengths) == 0 {
		if found != uint64(users)*uint64(count) {
			return nil, wrongAnswer("%s returned %d items for %d users × %d"+
				" (give ListLengths where lists differ)", method, found, users, count)
		}
	} else {
		if len(columns.ListLengths) != users {
			return nil, wrongAnswer("%s returned %d ListLengths for %d users",
				method, len(columns.ListLengths), users)
		}
		sum := uint64(0)
		for _, length := range columns.ListLengths {
			sum += uint64(length)
		}
		if sum != found {
			return nil, wrongAnswer("%s returned %d items, but ListLengths add up to %d",
				method, found, sum)
		}
	}
	return &pb.RankBatchResult{
		ItemNumbers: columns.ItemNumbers,
		ListLengths: columns.ListLengths,
	}, nil
}

// replied is the answer of a method to a turn of a conversation.
func replied(method string, reply Reply) (*pb.ConverseResult, error) {
	offered, err := listed(method, []List{reply.List}, 1)
	if err != nil {
		return nil, err
	}
	return &pb.ConverseResult{
		ReplyText:        reply.Text,
		Items:            offered.Lists[0].Items,
		AttributionToken: reply.Token,
	}, nil
}
