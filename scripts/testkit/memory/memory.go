// Package memory gives each test a network in memory, with listeners, gateways and
// clients on it. A test that runs in a bubble of testing/synctest reaches nothing
// else: a real socket would keep the bubble's clock from going on.
package memory

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// networks are those of the tests that run.
var networks sync.Map // *testing.T to *memnet.Network

// Network is the network of a test. It delays nothing, unless Delay was called.
func Network(t *testing.T) *memnet.Network { return networkOf(t, memnet.Config{}) }

// Delay has a test's network delay what is sent, by a random time of these two. So
// the test comes upon events that are on their way. It has to be called before
// anything else uses the network.
func Delay(t *testing.T, least, most time.Duration) {
	networkOf(t, memnet.Config{MinDelay: least, MaxDelay: most})
}

func networkOf(t *testing.T, c memnet.Config) *memnet.Network {
	n, there := networks.LoadOrStore(t, memnet.New(c))
	if !there {
		t.Cleanup(func() { networks.Delete(t) })
	}
	return n.(*memnet.Network)
}

var addrs atomic.Int64

// Addr returns an address, as IP:PORT, that nobody has.
func Addr() string {
	n := addrs.Add(1)
	return fmt.Sprintf("10.%d.%d.%d:7946", n>>14, n>>7&127, n&127+1)
}

// Listen takes an address of its own on the test's network.
func Listen(t *testing.T) net.Listener { return Network(t).Listen(Addr()) }

// NewGateway starts a gateway on the test's network. The end of the test stops it.
func NewGateway(t *testing.T) *testkit.Gateway {
	t.Helper()
	return testkit.NewGatewayOn(t, Listen(t))
}

// Serve starts an HTTP server on the test's network. The end of the test stops it.
func Serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	return testkit.ServeOn(t, Listen(t), h)
}

// Client asks servers of the test's network.
func Client(t *testing.T) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: Network(t).Dial, DisableKeepAlives: true}}
}
