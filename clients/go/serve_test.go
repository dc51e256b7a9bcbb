package recarena

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

var errBroken = errors.New("the model is broken")

func TestWhatCostsOneWorkAndNoMore(t *testing.T) {
	for name, test := range map[string]struct {
		rank func() ([]List, error)
		want string
	}{
		"an error": {
			func() ([]List, error) { return nil, errBroken }, "the model is broken",
		},
		"a long error": {
			func() ([]List, error) { return nil, errors.New(strings.Repeat("é", 1000)) }, "éé…",
		},
		"a panic": {
			func() ([]List, error) { panic("at the disco") }, "panic: at the disco",
		},
		"too few lists": {
			func() ([]List, error) { return nil, nil }, "0 lists for 1 queries",
		},
		"an id that is no text": {
			func() ([]List, error) { return []List{{IDs: []string{"\xff"}}}, nil }, "UTF-8",
		},
		"a message that is too large": {
			func() ([]List, error) {
				return []List{{IDs: []string{strings.Repeat("x", defaultMessageBytes)}}}, nil
			},
			"4194304 are allowed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			failing := true
			server := newScriptedServer(t, nil)
			serve(t, server.address, &scripted{rank: func(context.Context) ([]List, error) {
				if failing {
					failing = false
					return test.rank()
				}
				return []List{{IDs: []string{"item-1"}}}, nil
			}})
			session := server.begin(t)
			session.ask("w1", 0)
			failed := session.receive().GetWorkFailed()
			if failed.GetWorkId() != "w1" || !strings.Contains(failed.GetStatus().GetMessage(), test.want) {
				t.Errorf("%q is wanted, it says %v", test.want, failed)
			}
			if n := len([]rune(failed.GetStatus().GetMessage())); n > reasonChars {
				t.Errorf("the message has %d characters", n)
			}
			session.ask("w2", 0)
			if result := session.receive().GetRankResult(); result.GetWorkId() != "w2" {
				t.Errorf("no answer to w2: %v", result)
			}
		})
	}
}

func TestWhatEndsServe(t *testing.T) {
	for name, test := range map[string]struct {
		one    *scripted
		method string
		act    func(*testing.T, *scriptedServer)
	}{
		"Start": {
			&scripted{start: func() error { return errBroken }}, "Start",
			func(t *testing.T, s *scriptedServer) {
				session := s.accept(t)
				session.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Registered{
					Registered: &pb.Registered{RunId: "r", CatalogVersion: "v", CatalogSize: 10},
				}})
				refused := session.receive().GetCatalogReady().GetError()
				if !strings.Contains(refused.GetMessage(), errBroken.Error()) {
					t.Errorf("the catalogue was not refused: %v", refused)
				}
			},
		},
		"Feedback": {
			&scripted{feedback: func(*pb.FeedbackBatch) error { return errBroken }}, "Feedback",
			func(t *testing.T, s *scriptedServer) {
				session := s.begin(t)
				session.feedback("a")
				drain := session.receive().GetDrain()
				if !strings.Contains(drain.GetReason().GetMessage(), errBroken.Error()) {
					t.Errorf("the server was not told: %v", drain)
				}
			},
		},
		"a panic": {
			&scripted{feedback: func(*pb.FeedbackBatch) error { panic(errBroken) }}, "Feedback",
			func(t *testing.T, s *scriptedServer) { s.begin(t).feedback("a") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newScriptedServer(t, nil)
			closed := false
			test.one.close = func() error { closed = true; return nil }
			running := serve(t, server.address, test.one)
			test.act(t, server)
			err := running.ended()
			var failure *RecommenderError
			if !errors.As(err, &failure) || failure.Method != test.method || !errors.Is(err, errBroken) {
				t.Errorf("Serve returned %v", err)
			}
			if !closed {
				t.Error("the recommender was not closed")
			}
		})
	}
}

func TestAFactoryThatMakesNothingEndsServe(t *testing.T) {
	server := newScriptedServer(t, nil)
	var nothing *scripted
	for _, one := range []Recommender{nil, nothing} {
		var failure *RecommenderError
		if err := serve(t, server.address, one).ended(); !errors.As(err, &failure) {
			t.Errorf("Serve returned %v", err)
		}
	}
}

func TestARefusalIsKnownByItsReason(t *testing.T) {
	for code, reason := range final {
		t.Run(code.String(), func(t *testing.T) {
			server := newScriptedServer(t, nil)
			running := serve(t, server.address, &scripted{})
			server.accept(t).finish(status.Error(code, "not\nyou"))
			err := running.ended()
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Code != code || !errors.Is(err, reason) {
				t.Errorf("Serve returned %v", err)
			}
			if want := "the server refused: not you (" + nameOf(code) + ")"; err.Error() != want {
				t.Errorf("it says %q, not %q", err, want)
			}
		})
	}
}

func TestAWithdrawnWorkIsToldByItsContextAndNotAnswered(t *testing.T) {
	begun, told := make(chan struct{}), make(chan error)
	first := true
	server := newScriptedServer(t, nil)
	serve(t, server.address, &scripted{rank: func(ctx context.Context) ([]List, error) {
		if !first {
			return []List{{}}, nil
		}
		first = false
		close(begun)
		<-ctx.Done()
		told <- ctx.Err()
		return nil, ctx.Err()
	}})
	session := server.begin(t)
	session.ask("w1", 0)
	<-begun
	session.withdraw("w1")
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("the context says %v", err)
	}
	session.ask("w2", 0)
	if result := session.receive().GetRankResult(); result.GetWorkId() != "w2" {
		t.Errorf("no answer to w2 alone: %v", result)
	}
}

func TestALostSessionCancelsItsWorkAndNotItsFeedback(t *testing.T) {
	begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var cursors []string
	server := newScriptedServer(t, nil)
	serve(t, server.address, &scripted{
		rank: func(ctx context.Context) ([]List, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		feedback: func(batch *pb.FeedbackBatch) error {
			begun <- struct{}{}
			<-goOn
			cursors = append(cursors, batch.Cursor)
			done <- struct{}{}
			return nil
		},
	})
	session := server.begin(t)
	session.ask("w1", 0)
	<-begun
	session.finish(status.Error(codes.Unavailable, "for now"))
	session = server.begin(t) // not resumed: another engagement of the same value
	session.feedback("a")
	<-begun
	session.finish(status.Error(codes.Unavailable, "for now"))
	session = server.accept(t)
	if register := session.register; register.FeedbackCursor != "a" || register.ResumeRunId != "run-1" {
		t.Errorf("it came back with %v", register)
	}
	goOn <- struct{}{}
	<-done
	if len(cursors) != 1 {
		t.Errorf("feedback was given %v times", cursors)
	}
}

func TestAWorkHasItsDeadline(t *testing.T) {
	left := make(chan time.Duration, 1)
	server := newScriptedServer(t, nil)
	serve(t, server.address, &scripted{rank: func(ctx context.Context) ([]List, error) {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return []List{{}}, nil
	}})
	server.begin(t).ask("w1", time.Minute)
	if found := <-left; found <= 0 || found > time.Minute {
		t.Errorf("%v are left of a minute", found)
	}
}

func TestPingsAreAnsweredWhileTheRecommenderWorks(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	server := newScriptedServer(t, nil)
	serve(t, server.address, &scripted{ready: func(context.Context) error {
		close(begun)
		<-goOn
		return nil
	}})
	session := server.begin(t)
	session.send(&pb.ConnectResponse{Message: &pb.ConnectResponse_RoundStarted{
		RoundStarted: &pb.RoundStarted{Round: 3},
	}})
	<-begun
	session.heard(1)
	session.heard(2)
	close(goOn)
	if ready := session.receive().GetRoundReady(); ready.GetRound() != 3 {
		t.Errorf("it is not ready: %v", ready)
	}
}

func TestLeavingFinishesWhatIsUnderWayAndCloses(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	closed := false
	server := newScriptedServer(t, nil)
	running := serve(t, server.address, &scripted{
		rank: func(context.Context) ([]List, error) {
			close(begun)
			<-goOn
			return []List{{IDs: []string{"item-1"}}}, nil
		},
		close: func() error { closed = true; return nil },
	})
	session := server.begin(t)
	session.ask("w1", 0)
	<-begun
	running.cancel()
	if drain := session.receive().GetDrain(); drain == nil {
		t.Error("it did not say goodbye")
	}
	close(goOn)
	if result := session.receive().GetRankResult(); result.GetWorkId() != "w1" {
		t.Errorf("w1 was not answered: %v", result)
	}
	if err := running.ended(); err != nil || !closed {
		t.Errorf("Serve returned %v, closed: %v", err, closed)
	}
}

func TestItGivesUpWhereNobodyAnswersForSoLong(t *testing.T) {
	err := serve(t, "127.0.0.1:1", &scripted{}, WithRetryFor(200*time.Millisecond)).ended()
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Server != "127.0.0.1:1" {
		t.Fatalf("Serve returned %v", err)
	}
	if !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("it does not say why: %v", err)
	}
}

func TestItServesOneRunWhereThatIsAllThatIsWanted(t *testing.T) {
	server := newScriptedServer(t, nil)
	running := serve(t, server.address, &scripted{}, Once())
	server.begin(t).send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Drain{Drain: &pb.Drain{}}})
	if err := running.ended(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestEachSessionHasAnInstanceOfItsOwn(t *testing.T) {
	server := newScriptedServer(t, nil)
	serve(t, server.address, &scripted{}, WithSessions(2))
	one, other := server.accept(t).register.InstanceId, server.accept(t).register.InstanceId
	if one == other || one[:36] != other[:36] {
		t.Errorf("instances %q and %q", one, other)
	}
}

func TestWaitingGrowsAndIsCapped(t *testing.T) {
	for attempt, longest := range map[int]time.Duration{
		0: firstDelay, 1: 2 * firstDelay, 3: 8 * firstDelay, 6: longestDelay, 1000: longestDelay,
	} {
		for range 100 {
			if delay := delayAfter(attempt); delay < longest/2 || delay > longest {
				t.Fatalf("%v after %d attempts", delay, attempt)
			}
		}
	}
}
