package recarena

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

// DefaultServer is where Serve looks for a server.
const DefaultServer = "127.0.0.1:7788"

// Encoding is how a session speaks of users and items.
type Encoding int

const (
	// Auto is Columnar where the recommender has methods for it, Rich otherwise.
	Auto Encoding = iota
	// Rich speaks in ids, with context, candidates and explanations.
	Rich
	// Columnar speaks in numbers, for very many users.
	Columnar
)

// Option is a setting of [Serve].
type Option func(*options)

type options struct {
	server          string
	sessions        int
	encoding        Encoding
	once            bool
	softwareVersion string
	maxUsers        int
	maxOutstanding  int
	retryFor        time.Duration
	tls             *tls.Config
	token           string
	capabilities    []pb.Capability
	logger          *slog.Logger
}

// WithServer names the server, host:port, in place of [DefaultServer].
func WithServer(address string) Option { return func(o *options) { o.server = address } }

// WithSessions serves so many runs at the same time, each with a recommender of its own.
func WithSessions(n int) Option { return func(o *options) { o.sessions = n } }

// WithEncoding asks for one encoding, in place of [Auto].
func WithEncoding(encoding Encoding) Option { return func(o *options) { o.encoding = encoding } }

// Once makes Serve return when each session has served one run to its end.
func Once() Option { return func(o *options) { o.once = true } }

// WithSoftwareVersion is free text for reports.
func WithSoftwareVersion(version string) Option {
	return func(o *options) { o.softwareVersion = version }
}

// WithMaxUsersPerWork limits the users in one work; 0: the server's default.
func WithMaxUsersPerWork(n int) Option { return func(o *options) { o.maxUsers = n } }

// WithMaxOutstandingWork limits the works given at once; 0: the server's default.
func WithMaxOutstandingWork(n int) Option { return func(o *options) { o.maxOutstanding = n } }

// WithRetryFor gives up after so long without a session; 0: never.
func WithRetryFor(d time.Duration) Option { return func(o *options) { o.retryFor = d } }

// WithTLS encrypts the connection; [LoadTLS] makes a configuration from files. Without it nothing
// is encrypted.
func WithTLS(config *tls.Config) Option { return func(o *options) { o.tls = config } }

// WithToken sends a token with every call; the empty one is not sent.
func WithToken(token string) Option { return func(o *options) { o.token = token } }

// WithCapabilities offers these in place of those that the recommender's methods tell, for example
// with EXPLAIN. RANK is always among them.
func WithCapabilities(capabilities ...pb.Capability) Option {
	return func(o *options) { o.capabilities = append([]pb.Capability{}, capabilities...) }
}

// WithLogger logs there, in place of [slog.Default].
func WithLogger(logger *slog.Logger) Option { return func(o *options) { o.logger = logger } }

// chosen is the defaults with these options; an OptionError where one cannot be.
func chosen(given []Option) (*options, error) {
	o := &options{server: DefaultServer, sessions: 1, logger: slog.Default()}
	for _, option := range given {
		option(o)
	}
	if _, port, err := net.SplitHostPort(o.server); err != nil || port == "" {
		return nil, cannot("server %q: host:port is needed, for example %s", o.server, DefaultServer)
	}
	if o.sessions < 1 {
		return nil, cannot("%d sessions: at least one is needed", o.sessions)
	}
	if o.encoding < Auto || o.encoding > Columnar {
		return nil, cannot("encoding %d: one of Auto, Rich and Columnar is needed", o.encoding)
	}
	if o.maxUsers < 0 || o.maxOutstanding < 0 || o.retryFor < 0 {
		return nil, cannot("limits and times cannot be negative")
	}
	if strings.ContainsFunc(o.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, cannot("the token has a character that no token has: a space or an end of line?")
	}
	if o.logger == nil {
		return nil, cannot("the logger is nil: slog.New(slog.DiscardHandler) logs nothing")
	}
	return o, nil
}

func cannot(format string, values ...any) error {
	return &OptionError{fmt.Sprintf(format, values...)}
}
