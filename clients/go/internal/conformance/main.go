// The program that the script for the clients of all languages plays with.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/recarena/recarena/clients/go"
	pb "github.com/recarena/recarena/clients/go/recarenapb"
)

func main() {
	server := flag.String("server", recarena.DefaultServer, "host:port")
	token := flag.String("token", "", "shown with every call")
	columnar := flag.Bool("columnar", false, "offer COLUMNAR, too")
	flag.Parse()
	offered := []pb.Capability{
		pb.Capability_CAPABILITY_SEARCH,
		pb.Capability_CAPABILITY_CONVERSE,
		pb.Capability_CAPABILITY_EXPLAIN,
	}
	if *columnar {
		offered = append(offered, pb.Capability_CAPABILITY_COLUMNAR)
	}
	err := recarena.Serve(
		recarena.UntilSignal(context.Background()), newConforming, "conformance",
		recarena.WithServer(*server),
		recarena.WithToken(*token),
		recarena.WithCapabilities(offered...),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
