package recarena

import (
	"reflect"
	"slices"
	"strings"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// protocolMinor is the highest minor version of recarena.v1 that this package knows.
const protocolMinor = 0

// offer is what a recommender says of itself when it registers.
func offer(id, instance string, e *engagement, o *options) *pb.Register {
	register := &pb.Register{
		RecommenderId:      id,
		InstanceId:         instance,
		SoftwareName:       typeName(e.recommender),
		SoftwareVersion:    o.softwareVersion,
		ProtocolMinor:      protocolMinor,
		Capabilities:       e.features,
		MaxOutstandingWork: uint32(o.maxOutstanding),
		MaxUsersPerWork:    uint32(o.maxUsers),
	}
	if run := e.run; run != nil {
		register.ResumeSessionId = e.sessionID
		register.ResumeRunId = run.ID
		register.FeedbackCursor = e.cursor
		register.CatalogVersion = run.Catalog.Version
	}
	return register
}

// features are the capabilities to offer for a recommender, in the order of their numbers, with an
// OptionError where the options ask for what it cannot do.
func features(recommender Recommender, o *options) ([]pb.Capability, error) {
	_, searches := recommender.(Searcher)
	_, searchesColumns := recommender.(ColumnSearcher)
	_, converses := recommender.(Converser)
	missing := columnarGaps(recommender)
	name := typeName(recommender)
	if o.encoding == Columnar && len(missing) > 0 {
		return nil, cannot("encoding Columnar, but %s has no %s",
			name, strings.Join(missing, " and no "))
	}
	if o.capabilities != nil {
		for capability, can := range map[pb.Capability]bool{
			pb.Capability_CAPABILITY_SEARCH:   searches || searchesColumns,
			pb.Capability_CAPABILITY_CONVERSE: converses,
			pb.Capability_CAPABILITY_COLUMNAR: len(missing) == 0,
		} {
			if !can && slices.Contains(o.capabilities, capability) {
				return nil, cannot("%v is offered, but %s has no methods for it", capability, name)
			}
		}
		found := append([]pb.Capability{pb.Capability_CAPABILITY_RANK}, o.capabilities...)
		slices.Sort(found)
		return slices.Compact(found), nil
	}
	columnar := len(missing) == 0 && o.encoding != Rich
	found := []pb.Capability{pb.Capability_CAPABILITY_RANK}
	if columnar && searchesColumns || !columnar && searches {
		found = append(found, pb.Capability_CAPABILITY_SEARCH)
	}
	if converses {
		found = append(found, pb.Capability_CAPABILITY_CONVERSE)
	}
	if columnar {
		found = append(found, pb.Capability_CAPABILITY_COLUMNAR)
	}
	return found, nil
}

// columnarGaps are the methods that a columnar session would miss: RankColumns, and the forms of
// what is there.
func columnarGaps(recommender Recommender) []string {
	var gaps []string
	if _, ok := recommender.(ColumnRanker); !ok {
		gaps = append(gaps, "RankColumns")
	}
	_, rich := recommender.(Searcher)
	if _, ok := recommender.(ColumnSearcher); rich && !ok {
		gaps = append(gaps, "SearchColumns")
	}
	_, rich = recommender.(FeedbackTaker)
	if _, ok := recommender.(ColumnFeedbackTaker); rich && !ok {
		gaps = append(gaps, "FeedbackColumns")
	}
	return gaps
}

func isColumnar(registered *pb.Registered) bool {
	return slices.Contains(registered.GetCapabilities(), pb.Capability_CAPABILITY_COLUMNAR)
}

// typeName is the name of a recommender's type, without package and pointer.
func typeName(recommender Recommender) string {
	kind := reflect.TypeOf(recommender)
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind.Name() == "" {
		return "recommender"
	}
	return kind.Name()
}
