// What people who watched the same also watched: a complete recommender that learns from feedback.
//
//	clients/go/build/co-occurrence --server 127.0.0.1:7788
//
// The same recommender stands in Python, Java and TypeScript beside this one. They do the same
// arithmetic in the same order, so that all four give the same lists to the same users:
//
//   - An item counts as watched when it was viewed, liked, disliked, rated or shared; once for a
//     user.
//   - pairs(i, j) is how many users watched both, counted when the later of the two is watched, and
//     only against the 100 items that the user watched last before it.
//   - score(user, j) = the sum, over the 50 items i that the user watched last, in the order in which
//     they were watched, of pairs(i, j) / sqrt(watches(i) * watches(j)).
//   - Items that the user has not watched come first; then the higher score, the more watches, the
//     earlier place in the catalogue.
//   - Items that were withdrawn are in no list; those that are new are in all of them.
//   - A search finds items whose titles have words of the query: more of them first, then more
//     watches, then the earlier place.
//   - An explanation names the watched item that adds most to the score; of equals, the one watched
//     first. Where nothing adds, there is none.
//
// The token for the server, if it asks for one, is read from the variable RECARENA_TOKEN.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/recarena/recarena/clients/go"
	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

func main() {
	err := serve(recarena.UntilSignal(context.Background()), os.Args[1:])
	var wrong *flagError
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "%v (--help lists the options)\n", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flagError is a mistake on the command line.
type flagError struct{ text string }

func (e *flagError) Error() string { return e.text }

func serve(ctx context.Context, words []string) error {
	flags := flag.NewFlagSet("co-occurrence", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	server := flags.String("server", recarena.DefaultServer, "`HOST:PORT` of the server")
	id := flags.String("id", "co-occurrence", "the `NAME` that arms ask for")
	retryFor := flags.Float64("retry-for", 0, "give up after `SECONDS` without a session; 0: never")
	encrypted := flags.Bool("tls", false, "encrypt, and trust the authorities of the system")
	ca := flags.String("tls-ca", "", "encrypt, and trust the authority in this `FILE`")
	certificate := flags.String("tls-cert", "", "`FILE` with a certificate to show")
	key := flags.String("tls-key", "", "`FILE` with the key of the certificate")
	if err := flags.Parse(words); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(os.Stdout)
			flags.Usage()
			return nil
		}
		return &flagError{err.Error()}
	}
	if flags.NArg() > 0 {
		return &flagError{fmt.Sprintf("%q is no option", flags.Arg(0))}
	}
	options := []recarena.Option{
		recarena.WithServer(*server),
		recarena.WithRetryFor(time.Duration(*retryFor * float64(time.Second))),
		recarena.WithToken(os.Getenv("RECARENA_TOKEN")),
		recarena.WithCapabilities(
			pb.Capability_CAPABILITY_SEARCH, pb.Capability_CAPABILITY_EXPLAIN),
	}
	if *encrypted || *ca != "" || *certificate != "" || *key != "" {
		config, err := recarena.LoadTLS(*ca, *certificate, *key)
		if err != nil {
			return err
		}
		options = append(options, recarena.WithTLS(config))
	}
	return recarena.Serve(ctx, newCoOccurrence, *id, options...)
}
