package rpc

import (
	"context"
	"errors"
	"testing"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

func TestMain(m *testing.M) { proc.Main(m) }

// eachRelease runs a test with each release of serf, all at once: they wait for
// serf's own times more than they compute.
func eachRelease(t *testing.T, test func(t *testing.T, version string)) {
	for _, version := range stock.Versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// dial connects to an agent and closes at the end of the test.
func dial(t *testing.T, addr, key string) *rpcclient.Client {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: addr, AuthKey: key, Timeout: testkit.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// event publishes a fixed event.
func event(ctx context.Context, c *rpcclient.Client) error {
	return c.Event(ctx, "name", []byte("payload"), false)
}

// kind sums up an error in a word.
func kind(err error) string {
	remote, _ := errors.AsType[*rpcclient.RemoteError](err)
	switch {
	case err == nil:
		return "ok"
	case remote != nil:
		return "remote"
	case errors.Is(err, rpcclient.ErrNotSent) && errors.Is(err, rpcclient.ErrLostReply):
		return "contradiction"
	case errors.Is(err, rpcclient.ErrNotSent):
		return "not sent"
	case errors.Is(err, rpcclient.ErrLostReply):
		return "lost"
	}
	return "other"
}

func wantKind(t *testing.T, err error, want string, is ...error) {
	t.Helper()
	if got := kind(err); got != want {
		t.Errorf("error %v is %q, want %q", err, got, want)
	}
	for _, e := range is {
		if !errors.Is(err, e) {
			t.Errorf("error %v is not %v", err, e)
		}
	}
}
