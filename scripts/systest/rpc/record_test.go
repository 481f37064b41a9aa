package rpc

import (
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	stockclient "github.com/hashicorp/serf/client"

	"agentctl/rpcclient/wire"
	"agentctl/rpcclient/wire/wiretest"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

var update = flag.Bool("update", false, "record the conversations in testdata/rpc again")

const transcripts = "../../../testdata/rpc"

// conversation is what a stock client and a stock agent are recorded at.
type conversation struct {
	name, about string
	facts       map[string]string
	args        []string // of the agent
	talk        func(t *testing.T, proxy string, a *proc.Node)
}

// TestRecord lists the transcripts in testdata/rpc. With -update it records
// them; else it sees that the set is complete.
func TestRecord(t *testing.T) {
	config := filepath.Join(t.TempDir(), "rpc.json")
	testkit.WriteTo(t, config, `{"rpc_auth":"secret"}`)
	names := map[string]bool{}
	for _, v := range conversations(config) {
		names[v.name+".txt"] = true
		if *update {
			t.Run(v.name, func(t *testing.T) { record(t, v) })
		}
		if _, err := os.Stat(filepath.Join(transcripts, v.name+".txt")); err != nil {
			t.Error(err, "(record it with: go test ./scripts/systest/rpc -run TestRecord -update)")
		}
	}
	files, err := os.ReadDir(transcripts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !names[f.Name()] {
			t.Errorf("%s is no transcript that this test records", f.Name())
		}
	}
}

func record(t *testing.T, v conversation) {
	a := proc.NewStock(t, "node1", stock.V011, append([]string{"-profile=local", "-log-level=info"}, v.args...)...)
	facts := map[string]string{"agent": stock.V011, "about": v.about}
	for name, fact := range v.facts {
		facts[name] = fact
	}
	p := startProxy(t, a.RPC)
	v.talk(t, p.ln.Addr().String(), a)
	out, err := os.Create(filepath.Join(transcripts, v.name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := (wiretest.Transcript{Facts: facts, Values: p.stop()}).Write(out); err != nil {
		t.Fatal(err)
	}
}

// proxy passes one connection on and keeps the values that cross it.
type proxy struct {
	t      *testing.T
	ln     net.Listener
	wg     sync.WaitGroup
	mu     sync.Mutex
	values []wiretest.Value
}

func startProxy(t *testing.T, agent string) *proxy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln}
	p.wg.Go(func() {
		client, err := ln.Accept()
		ln.Close()
		if err != nil {
			return
		}
		defer client.Close()
		agent, err := net.Dial("tcp", agent)
		if err != nil {
			t.Error(err)
			return
		}
		defer agent.Close()
		var answers sync.WaitGroup
		answers.Go(func() { p.pass(client, agent, false) })
		p.pass(agent, client, true)
		answers.Wait()
	})
	return p
}

// pass passes values on until from has no more, and then closes that direction
// alone. Each value is kept before it is passed on, so a request always stands
// before its answer.
func (p *proxy) pass(to, from net.Conn, fromClient bool) {
	defer to.(*net.TCPConn).CloseWrite()
	r := wire.NewReader(from, wire.DefaultLimits)
	for {
		if err := r.Read(nil); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				p.t.Error(err)
			}
			return
		}
		data := append([]byte(nil), r.Value()...)
		p.mu.Lock()
		p.values = append(p.values, wiretest.Value{FromClient: fromClient, Data: data})
		p.mu.Unlock()
		if _, err := to.Write(data); err != nil {
			return
		}
	}
}

// stop waits until the conversation has ended and returns it.
func (p *proxy) stop() []wiretest.Value {
	p.ln.Close()
	p.wg.Wait()
	return p.values
}

// with makes a conversation of what a stock client is asked to do.
func with(key string, f func(t *testing.T, c *stockclient.RPCClient, a *proc.Node)) func(*testing.T, string, *proc.Node) {
	return func(t *testing.T, proxy string, a *proc.Node) {
		c, err := stockclient.ClientFromConfig(&stockclient.Config{Addr: proxy, AuthKey: key})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f(t, c, a)
	}
}

// raw makes a conversation of requests that the stock client does not send,
// all sent at once.
func raw(send func(w *wire.Writer) error) func(*testing.T, string, *proc.Node) {
	return func(t *testing.T, proxy string, a *proc.Node) {
		conn, err := net.Dial("tcp", proxy)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := send(wire.NewWriter(conn)); err != nil {
			t.Fatal(err)
		}
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustFail(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("%v, want %q", err, text)
	}
}
