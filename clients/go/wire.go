package recarena

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// payload is a message that is serialised already: its size has to be known before it is sent, and
// a string that is not UTF-8 shall cost one work, not the stream.
type payload []byte

// codec sends payloads as they are, and reads messages.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message any) (mem.BufferSlice, error) {
	bytes, ok := message.(payload)
	if !ok {
		return nil, fmt.Errorf("%T is no payload", message)
	}
	return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, message any) error {
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	return proto.Unmarshal(whole.ReadOnlyData(), message.(proto.Message))
}

// stream is one call of Connect.
type stream struct{ call grpc.ClientStream }

func connect(ctx context.Context, channel *grpc.ClientConn) (*stream, error) {
	of := &grpc.StreamDesc{StreamName: "Connect", ClientStreams: true, ServerStreams: true}
	method := pb.RecommenderService_Connect_FullMethodName
	call, err := channel.NewStream(ctx, of, method, grpc.ForceCodecV2(codec{}))
	if err != nil {
		return nil, err
	}
	return &stream{call}, nil
}

// receive returns the next message; io.EOF is an end with OK, a status error any other.
func (s *stream) receive() (*pb.ConnectResponse, error) {
	message := new(pb.ConnectResponse)
	if err := s.call.RecvMsg(message); err != nil {
		return nil, err
	}
	return message, nil
}

// send fails where nothing more can be sent, which receive explains.
func (s *stream) send(message payload) error { return s.call.SendMsg(message) }

func (s *stream) closeSend() error { return s.call.CloseSend() }
