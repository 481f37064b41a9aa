//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"agentctl/rpcclient"
)

// gateway takes the POSTs of all members, each at a path of its own, and notes
// them.
type gateway struct {
	addr   string
	server *http.Server
}

func newGateway(rec *recorder) (*gateway, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{member}/cluster/events/", func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		member, err := strconv.Atoi(r.PathValue("member"))
		if err != nil || member < 0 || member >= len(rec.at) {
			http.Error(w, "no such member", http.StatusNotFound)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		rec.note(member, body, at)
	})
	g := &gateway{addr: ln.Addr().String(), server: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}}
	go g.server.Serve(ln) // it returns when closed
	return g, nil
}

// url is where a member POSTs to.
func (g *gateway) url(member int) string {
	return fmt.Sprintf("http://%s/%d/cluster/events/", g.addr, member)
}

func (g *gateway) close() { g.server.Close() }

// watch notes what comes on the RPC stream of a member, until ctx ends.
func (c *cluster) watch(ctx context.Context, i int) error {
	events, err := c.members[i].client.Stream(ctx, "user:kong")
	if err != nil {
		return err
	}
	go func() {
		for e, err := range events {
			if err == nil {
				c.rec.note(i, e.Payload, time.Now())
			} else if !errors.Is(err, rpcclient.ErrStreamOverflow) {
				return
			}
		}
	}()
	// A stock agent registers the stream just after its answer: it has done so
	// when it answers something else.
	_, err = c.members[i].client.Stats(ctx)
	return err
}
