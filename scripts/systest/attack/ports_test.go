//go:build linux

package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// floods are what strangers do to a port of an agent, until ctx ends.
var floods = []struct {
	name string
	do   func(ctx context.Context, t *testing.T, n *proc.Node)
}{
	{"nothing", func(context.Context, *testing.T, *proc.Node) {}},
	{"http: silent connections", overHTTP("")},
	{"http: slow headers", overHTTP("GET /v1/status HT")},
	{"http: followers", overHTTP("GET /v1/events?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")},
	{"http: waits for nodes", overHTTP("GET /v1/events/1-0123456789abcdef/nodes?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n")},
	{"http: durable publishes", overHTTP("POST /v1/events?name=flood&durable=1&wait=20s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\n")},
	{"rpc: silent connections", func(ctx context.Context, t *testing.T, n *proc.Node) { connections(ctx, t, n.RPC, "", 1500) }},
	{"gossip: random packets", randomPackets},
}

func overHTTP(send string) func(ctx context.Context, t *testing.T, n *proc.Node) {
	return func(ctx context.Context, t *testing.T, n *proc.Node) {
		connections(ctx, t, n.HTTP, send, testkit.Setting(t, "AGENTCTL_ATTACK_CONNECTIONS", 300, 1000))
	}
}

// connections holds so many connections, each of which sends the same first. One that
// is closed is opened again.
func connections(ctx context.Context, t *testing.T, addr, send string, many int) {
	var holding, begun sync.WaitGroup
	begun.Add(many)
	for range many {
		holding.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			for ctx.Err() == nil {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err == nil {
					end := context.AfterFunc(ctx, func() { conn.Close() })
					io.WriteString(conn, send)
					first()
					io.Copy(io.Discard, conn)
					conn.Close()
					end()
				}
				select { // ten a second each: a flood of new connections is limited by this machine
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(holding.Wait)
	begun.Wait()
}

// randomPackets sends packets of random bytes, as fast as it can.
func randomPackets(ctx context.Context, t *testing.T, n *proc.Node) {
	conn, err := net.Dial("udp", n.Gossip)
	if err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		defer conn.Close()
		random := rand.NewChaCha8([32]byte{})
		for i := 0; ctx.Err() == nil; i++ {
			packet := make([]byte, 1+i%80)
			random.Read(packet)
			conn.Write(packet) // one that is lost is no matter
		}
	})
	t.Cleanup(sending.Wait)
}

// Strangers who flood a port neither make a container's probe fail, nor keep out a
// client of RPC with the key, nor cost an event, nor fill log and memory.
func TestFloodsOfPorts(t *testing.T) {
	asUsersHaveIt(t)
	for _, flood := range floods {
		t.Run(flood.name, func(t *testing.T) {
			gateway := testkit.NewGateway(t)
			config := filepath.Join(t.TempDir(), "key.json")
			if err := os.WriteFile(config, fmt.Appendf(nil, `{"rpc_auth": %q}`, victimKey), 0o600); err != nil {
				t.Fatal(err)
			}
			n := proc.NewAgent(t, "victim", "-config-file="+config, "-event-handler=user:counted="+gateway.URL, "-data-dir="+filepath.Join(t.TempDir(), "data"))
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel) // before the flood's own, which waits for its end
			flood.do(ctx, t, n)
			var health, events []time.Duration
			for i := range testkit.Setting(t, "AGENTCTL_ATTACK_EVENTS", 50, 1000) {
				for _, path := range []string{"/healthz", "/readyz"} {
					began := time.Now()
					if err := probe(n.HTTP, path); err != nil {
						t.Fatalf("%s: %v", path, err)
					}
					health = append(health, time.Since(began))
				}
				began := time.Now()
				if err := publishOne(ctx, n.RPC, i); err != nil {
					t.Fatalf("event %d: %v", i, err)
				}
				testkit.WaitFor(t, "the event is at the gateway", func() bool { return len(gateway.Posts()) > i })
				events = append(events, time.Since(began))
			}
			log := len(n.Printed())
			if log > 64<<10 {
				t.Errorf("the log has %d bytes, and ends with\n%s", log, proc.Tail(n.Printed(), 2<<10))
			}
			if n.Ended() {
				t.Error("the agent has ended")
			}
			peak := peakMemory(t, n)
			if peak > 256<<10 {
				t.Errorf("it took %d KiB of memory", peak)
			}
			slices.Sort(events)
			t.Logf("longest health %v; events: p50 %v, p99 %v, lost %d; peak memory %d KiB, log %d bytes", slices.Max(health).Round(time.Microsecond),
				events[len(events)/2].Round(time.Microsecond), events[len(events)*99/100].Round(time.Microsecond), len(events)-len(gateway.Posts()), peak, log)
		})
	}
}

// probe asks as the container's health check does: three times, for 5 s each.
func probe(addr, path string) (err error) {
	for range 3 {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, failed := client.Get("http://" + addr + path)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		err = errors.Join(err, fmt.Errorf("%s: %s", resp.Status, body))
	}
	return err
}

// publishOne publishes an event over a connection of its own, with the key.
func publishOne(ctx context.Context, addr string, i int) error {
	c, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: addr, AuthKey: victimKey})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Event(ctx, "counted", strconv.AppendInt(nil, int64(i), 10), false)
}

var peakLine = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peakMemory is the most memory that an agent has had, in KiB.
func peakMemory(t *testing.T, n *proc.Node) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := peakLine.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb
}
