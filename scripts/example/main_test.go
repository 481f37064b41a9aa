package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"agentctl/agent"
	"agentctl/agent/config"
	"agentctl/agent/large"
	"agentctl/agent/logs"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/leaks"
	"agentctl/scripts/testkit/loopback"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// startAgent runs an agent on free ports of loopback until the end of the test. Its
// gateway gets the user events named purge.
func startAgent(t *testing.T) (*agent.Agent, *testkit.Gateway) {
	t.Helper()
	gateway := testkit.NewGateway(t)
	hub := logs.New(logs.Config{Out: t.Output(), Level: slog.LevelWarn})
	t.Cleanup(hub.Close)
	opts := config.DefaultOptions()
	opts.NodeName, opts.Profile = "example", "local"
	opts.Bind, opts.RPCAddr, opts.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	opts.EventHandlers = []string{"user:purge=" + gateway.URL}
	conf, err := config.Compile(config.Input{Defaults: opts})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(conf, hub, agent.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel(agent.ErrNoLeave)
		if err := <-ended; !errors.Is(err, agent.ErrNoLeave) {
			t.Error(err)
		}
	})
	return a, gateway
}

func TestBothWaysReachTheGateway(t *testing.T) {
	t.Parallel()
	a, gateway := startAgent(t)
	const payload = "a <payload> & \"quotes\"\n"
	var out bytes.Buffer
	if err := publish(t.Context(), &out, a.RPCAddr(), a.HTTPAddr(), "purge", []byte(payload)); err != nil {
		t.Fatal(err)
	}

	testkit.WaitFor(t, "both events at the gateway", func() bool { return len(gateway.Posts()) >= 2 })
	posts := gateway.Posts()
	if len(posts) != 2 {
		t.Fatalf("the gateway got %d events: %+v", len(posts), posts)
	}
	for _, post := range posts {
		if post.Name != "purge" || post.Body != payload {
			t.Errorf("the gateway got %+v", post)
		}
	}
	if posts[0].ID == posts[1].ID {
		t.Errorf("both events have the ID %s", posts[0].ID)
	}
	testkit.Want(t, "output", out.String(), "published by RPC\npublished by HTTP as "+posts[1].ID+"\n")
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	a, gateway := startAgent(t)
	nobody, rpc, http := loopback.Addr(), a.RPCAddr(), a.HTTPAddr()
	fails := func(rpcAddr, httpAddr, event string, size int, want ...string) {
		t.Helper()
		err := publish(t.Context(), io.Discard, rpcAddr, httpAddr, event, make([]byte, size))
		if err == nil {
			t.Error("no error")
			return
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	fails(nobody, http, "other", 1, "cannot publish by RPC: ", nobody, "is the agent running")
	fails(rpc, nobody, "other", 1, "cannot publish by HTTP: ", nobody, "is the agent running")
	fails(rpc, http, "other", large.MaxEvent, "cannot publish by RPC: ", "the limit is")
	fails(rpc, gateway.Listener.Addr().String(), "other", 1, "cannot publish by HTTP: ", "200 OK")
	fails(rpc, http, "", 1, "cannot publish by HTTP: ", "400 Bad Request", "give one")
}
