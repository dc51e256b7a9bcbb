package recarena

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

const (
	// The largest message where the server names no limit.
	defaultMessageBytes = 4 << 20
	// Characters of WorkFailed.status.message that the server keeps.
	reasonChars = 500
)

// works are those of one session: noted as they come, answered one after another, withdrawn.
type works struct {
	send   func(payload)
	logger *slog.Logger
	// Largest message that may be sent; set before the first work.
	maxBytes int

	mutex sync.Mutex
	// Works that came and were neither answered nor withdrawn, and what tells those under way that
	// they are.
	open map[string]context.CancelFunc
	over bool
}

func newWorks(send func(payload), logger *slog.Logger) *works {
	return &works{
		send: send, logger: logger, maxBytes: defaultMessageBytes,
		open: map[string]context.CancelFunc{},
	}
}

// arrived notes a work that will be begun in its turn, so that it can be withdrawn before.
func (w *works) arrived(id string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if _, open := w.open[id]; !open && !w.over {
		w.open[id] = func() {}
	}
}

// withdraw sees to it that a work is not begun, or its answer not sent.
func (w *works) withdraw(id string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if cancel, open := w.open[id]; open {
		delete(w.open, id)
		cancel()
	}
}

// withdrawAll is withdraw for all works, also those to come.
func (w *works) withdrawAll() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.over = true
	for id, cancel := range w.open {
		delete(w.open, id)
		cancel()
	}
}

// do has a work answered and sends the answer, unless the work is withdrawn. It returns when the
// recommender is done with the work, or the context.
func (w *works) do(ctx context.Context, one *work, e *engagement, ack uint64) error {
	mine, cancel, ok := w.begin(e.ctx, one)
	if !ok {
		return nil
	}
	defer cancel()
	return e.call(ctx, one.method, func() error {
		w.settle(one.id, w.answer(mine, one, e, ack))
		return nil
	})
}

// answer is what a work comes to.
func (w *works) answer(ctx context.Context, one *work, e *engagement, ack uint64) payload {
	var message payload
	err := protected(func() error {
		request, err := one.answer(ctx, e.recommender)
		if err == nil {
			message, err = w.serialized(request, ack)
		}
		return err
	})
	if err == nil {
		return message
	}
	if ctx.Err() != context.Canceled { // else it was withdrawn, and nobody wants to know
		logFailure(w.logger, &RecommenderError{one.method, err}, "work", oneLine(one.id, lineChars))
	}
	return serialize(&pb.ConnectRequest{AckSeq: ack, Message: &pb.ConnectRequest_WorkFailed{
		WorkFailed: &pb.WorkFailed{WorkId: one.id, Status: internal(err)},
	}})
}

// begin is the context of a work; false where the work was withdrawn.
func (w *works) begin(parent context.Context, one *work) (context.Context, context.CancelFunc, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if _, open := w.open[one.id]; !open {
		return nil, nil, false
	}
	var ctx context.Context
	var cancel context.CancelFunc
	if one.deadline.IsZero() {
		ctx, cancel = context.WithCancel(parent)
	} else {
		ctx, cancel = context.WithDeadline(parent, one.deadline)
	}
	w.open[one.id] = cancel
	return ctx, cancel, true
}

// settle sends what a work came to, unless it was withdrawn.
func (w *works) settle(id string, message payload) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if _, open := w.open[id]; open {
		delete(w.open, id)
		w.send(message)
	}
}

// serialized is an answer, if it may be sent.
func (w *works) serialized(request *pb.ConnectRequest, ack uint64) (payload, error) {
	request.AckSeq = ack
	if size := proto.Size(request); size > w.maxBytes {
		return nil, wrongAnswer("the answer has %d bytes, %d are allowed:"+
			" take fewer users in one *work (WithMaxUsersPerWork)", size, w.maxBytes)
	}
	message, err := proto.MarshalOptions{UseCachedSize: true}.Marshal(request)
	if err != nil {
		return nil, wrongAnswer("the answer is no message: %v", err)
	}
	return message, nil
}

// internal is an error as the server is told of it.
func internal(err error) *rpcstatus.Status {
	return &rpcstatus.Status{
		Code: int32(codes.Internal), Message: oneLine(err.Error(), reasonChars),
	}
}

// serialize is for messages of the SDK's own words, which cannot fail.
func serialize(request *pb.ConnectRequest) payload {
	message, err := proto.Marshal(request)
	if err != nil {
		panic(err)
	}
	return message
}

// logFailure logs what failed, with the stack where it panicked.
func logFailure(logger *slog.Logger, err error, attributes ...any) {
	var panic *panicked
	if errors.As(err, &panic) {
		attributes = append(attributes, "stack", string(panic.stack))
	}
	logger.Error(oneLine(err.Error(), lineChars), attributes...)
}
