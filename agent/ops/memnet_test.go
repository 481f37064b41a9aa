package ops

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// bubble runs a test on its own clock and its own network. The clock stands still
// while a goroutine works, or waits for a mutex.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// networks are those of the tests that run.
var networks sync.Map // *testing.T to *memnet.Network

// network is the network in memory of a test. It delays nothing.
func network(t *testing.T) *memnet.Network { return networkOf(t, memnet.Config{}) }

// delayed has a test's network delay what is sent. It has to be called before anything
// else uses the network.
func delayed(t *testing.T) { networkOf(t, memnet.Config{MinDelay: time.Millisecond}) }

func networkOf(t *testing.T, c memnet.Config) *memnet.Network {
	n, there := networks.LoadOrStore(t, memnet.New(c))
	if !there {
		t.Cleanup(func() { networks.Delete(t) })
	}
	return n.(*memnet.Network)
}

var addrs atomic.Int64

// listen takes an address of its own on the test's network.
func listen(t *testing.T) net.Listener {
	n := addrs.Add(1)
	return network(t).Listen(fmt.Sprintf("10.%d.%d.%d:7374", n>>14, n>>7&127, n&127+1))
}

// newGateway starts a gateway on the test's network.
func newGateway(t *testing.T) *testkit.Gateway {
	t.Helper()
	return testkit.NewGatewayOn(t, listen(t))
}

// client asks servers of the test's network. Its requests have a time limit, since a
// stream that brings nothing would keep the bubble's clock going for ever.
func client(t *testing.T) *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: network(t).Dial, DisableKeepAlives: true},
		Timeout:   testkit.Patience,
	}
}
