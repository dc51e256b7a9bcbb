package recarena

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

const keepaliveTime = 20 * time.Second

// link is the one channel to the server that all sessions of a Serve share.
type link struct {
	server  string
	how     string
	token   string
	channel *grpc.ClientConn
	client  pb.RecommenderServiceClient
	logger  *slog.Logger
	// Held by whoever loads a catalogue, and with it the latest one.
	loading chan *Catalog
	// Whether it was said that there is no connection.
	mutex      sync.Mutex
	complained bool
}

func newLink(o *options) (*link, error) {
	secure, how := insecure.NewCredentials(), "unencrypted"
	if o.tls != nil {
		secure, how = credentials.NewTLS(o.tls), "over TLS"
	}
	channel, err := grpc.NewClient(o.server,
		grpc.WithTransportCredentials(secure),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: keepaliveTime, Timeout: keepaliveTime,
		}),
		// The session's Limits decide, not the channel: crossing a limit here ends the stream.
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		// How the channel comes back, with jitter of its own.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: firstDelay, Multiplier: 2, Jitter: 0.2, MaxDelay: longestDelay,
			},
			MinConnectTimeout: keepaliveTime,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, cannot("server %q: %s", o.server, oneLine(err.Error(), lineChars))
	}
	l := &link{
		server: o.server, how: how, token: o.token, channel: channel, logger: o.logger,
		client:  pb.NewRecommenderServiceClient(channel),
		loading: make(chan *Catalog, 1),
	}
	l.loading <- nil
	return l, nil
}

func (l *link) close() { _ = l.channel.Close() }

// ready returns when there is a connection, or the context is done; it says once that there is
// none. The text says why there is none yet.
func (l *link) ready(ctx context.Context) (text string, err error) {
	for ctx.Err() == nil {
		state := l.channel.GetState()
		if state == connectivity.Ready {
			l.complain("")
			return "", nil
		}
		if state == connectivity.TransientFailure {
			text = l.trouble(ctx)
			if l.channel.GetState() == connectivity.Ready || ctx.Err() != nil {
				continue
			}
			l.complain(text)
		}
		l.channel.Connect()
		l.channel.WaitForStateChange(ctx, state)
	}
	return text, ctx.Err()
}

// complain says the first time why there is no connection; nothing: there is one.
func (l *link) complain(text string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if text != "" && !l.complained {
		l.logger.Warn("cannot reach the server, trying again",
			"server", l.server, "how", l.how, "why", text)
	}
	l.complained = text != ""
}

// trouble is why there is no connection, which the channel tells to calls alone.
func (l *link) trouble(ctx context.Context) string {
	_, err := l.client.ListFeedback(l.outgoing(ctx), &pb.ListFeedbackRequest{})
	return oneLine(status.Convert(err).Message(), lineChars)
}

// connect opens a stream.
func (l *link) connect(ctx context.Context) (*stream, error) {
	return connect(l.outgoing(ctx), l.channel)
}

// outgoing is a context for a call that shows the token.
func (l *link) outgoing(ctx context.Context) context.Context {
	if l.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+l.token)
}

// catalog is the catalogue at one version, loaded once for all sessions, but for the items that it
// begins with, where they are known to be the same. The error is a status, or a ProtocolError where
// it has not the announced size (0: any).
func (l *link) catalog(
	ctx context.Context, version string, size int, same []*pb.Item,
) (*Catalog, error) {
	var latest *Catalog
	select {
	case latest = <-l.loading:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { l.loading <- latest }()
	if latest == nil || latest.Version != version || size != 0 && size != latest.Len() {
		items, err := l.items(ctx, version, same)
		if err != nil {
			return nil, err
		}
		latest = NewCatalog(version, items)
	}
	if size != 0 && size != latest.Len() {
		return nil, &ProtocolError{fmt.Sprintf("catalogue %s has %d items, %d were announced",
			version, latest.Len(), size)}
	}
	return latest, nil
}

// items loads what a catalogue has after the same items, going on where it broke off as long as that
// gets any further.
func (l *link) items(ctx context.Context, version string, same []*pb.Item) ([]*pb.Item, error) {
	items, token := slices.Clone(same), ""
	if len(items) > 0 {
		token = strconv.Itoa(len(items))
	}
	for {
		held := token
		err := l.parts(ctx, version, token, func(part *pb.StreamCatalogResponse) {
			items = append(items, part.GetItems()...)
			token = part.GetNextPageToken()
		})
		switch {
		case token == held && err != nil:
			return nil, err
		case token == "":
			return items, nil
		case token == held:
			return nil, &ProtocolError{fmt.Sprintf("catalogue %s ends in the middle", version)}
		}
	}
}

func (l *link) parts(
	ctx context.Context, version, token string, take func(*pb.StreamCatalogResponse),
) error {
	ctx, cancel := context.WithCancel(l.outgoing(ctx))
	defer cancel()
	call, err := l.client.StreamCatalog(ctx, &pb.StreamCatalogRequest{
		CatalogVersion: version, PageToken: token,
	})
	if err != nil {
		return err
	}
	for {
		part, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		take(part)
	}
}
