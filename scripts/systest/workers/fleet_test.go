//go:build unix

package workers

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// fleet is a cluster of nodes, each an nginx of testdata/gateway with an agent
// beside it, and the database that they share.
type fleet struct {
	setup    fleetSetup
	database string // its address
	origin   string
	nodes    []*fleetNode
}

// fleetSetup is how a fleet is made.
type fleetSetup struct {
	nodes   int
	publish string // "fork" or "http"
	serf    string // the program for fork
	agent   string // the program of the agents; "" is this one
	stock   bool   // agents are stock serf, and run a script that runs curl
	profile string
}

type fleetNode struct {
	*luaNginx
	name         string
	admin, proxy string // addresses
	pool         *workerPool
	agent        *proc.Node
	agentArgs    []string
	program      string
}

// newNginxFleet starts a fleet whose agents have joined.
func newNginxFleet(t *testing.T, setup fleetSetup) *fleet {
	t.Helper()
	needNginx(t)
	f := &fleet{setup: setup, database: loopback.Addr(), origin: loopback.Addr()}
	newNginx(t, "database.conf", f.database, "DATABASE="+f.database, "ORIGIN="+f.origin)
	for i := range setup.nodes {
		f.add(t, fmt.Sprintf("node%d", i+1))
	}
	return f
}

// add starts one more node, and has its agent join.
func (f *fleet) add(t *testing.T, name string) *fleetNode {
	t.Helper()
	n := &fleetNode{name: name, admin: loopback.Addr(), proxy: loopback.Addr()}
	if f.setup.stock {
		n.startStock(t, f)
	} else {
		n.program = cmp.Or(f.setup.agent, "agentctl")
		n.agentArgs = []string{"-bind=" + loopback.Addr(), "-rpc-addr=" + loopback.Addr(), "-http-addr=" + loopback.Addr(),
			"-profile=" + f.setup.profile, "-data-dir=" + filepath.Join(t.TempDir(), "data"),
			"-gateway=http://" + n.admin + "/cluster/events/"}
		n.startAgent(t)
	}
	n.startGateway(t, f, n.agent.RPC, n.agent.HTTP)
	for _, other := range f.nodes { // from their next start on they find each other
		n.agentArgs = append(n.agentArgs, "-retry-join="+other.agent.Gossip)
		other.agentArgs = append(other.agentArgs, "-retry-join="+n.agent.Gossip)
	}
	if len(f.nodes) > 0 {
		proc.Output(t, "agentctl", "join", "-rpc-addr="+n.agent.RPC, f.nodes[0].agent.Gossip)
	}
	f.nodes = append(f.nodes, n)
	for _, other := range f.nodes {
		testkit.WaitFor(t, other.name+" sees all members", func() bool {
			return len(proc.MembersAt(t, other.agent)) == len(f.nodes)
		})
	}
	return n
}

// startGateway starts the node's nginx, whose agent has these addresses.
func (n *fleetNode) startGateway(t *testing.T, f *fleet, rpc, http string) {
	t.Helper()
	n.luaNginx = newNginx(t, "node.conf", n.proxy, "NODE="+n.name, "PROXY="+n.proxy, "ADMIN="+n.admin,
		"DATABASE="+f.database, "PUBLISH="+f.setup.publish, "SERF_PATH="+f.setup.serf, "RPC_ADDR="+rpc, "HTTP_ADDR="+http)
	n.pool = newPool(t, n.proxy)
}

// StartStock starts stock serf as the node's agent, with a script.
func (n *fleetNode) startStock(t *testing.T, f *fleet) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "event.sh")
	if err := os.WriteFile(script, []byte(curlScript(n.admin)), 0o755); err != nil {
		t.Fatal(err)
	}
	n.agent = proc.NewStock(t, n.name, stock.V011, "-profile="+f.setup.profile,
		"-event-handler=member-join,member-leave,member-failed,member-update,member-reap,user:kong="+script)
}

// StartAgent starts the node's agent of ours, at the addresses that it had before.
func (n *fleetNode) startAgent(t *testing.T) {
	t.Helper()
	agent, err := proc.StartProgram(t.TempDir(), n.program, n.name, os.Environ(), n.agentArgs...)
	if agent != nil {
		proc.KillAtEnd(t, agent.Process)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.agent = agent
}

// curlScript is an event script as short as one can be, of the kind that Kong
// writes: it starts a program for each event.
func curlScript(admin string) string {
	return `#!/bin/sh
body=$(cat)
[ "$SERF_EVENT" = user ] || body="{\"type\":\"$SERF_EVENT\",\"entity\": \"$body\"}"
exec curl -s -o /dev/null -m 60 -H 'Content-Type: application/json' --data-binary "$body" http://` + admin + `/cluster/events/
`
}

// change makes a request to the admin API of a node, which has to succeed and to
// publish an event. It returns when it was answered.
func (n *fleetNode) change(t *testing.T, method, path, body string) time.Time {
	t.Helper()
	a, err := request(method, "http://"+n.admin+path, body)
	at := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	if a.status/100 != 2 || a.header.Get("X-Cluster-Event") != "sent" {
		t.Fatalf("%s %s %s: %d, %q: %s", method, path, body, a.status, a.header.Get("X-Cluster-Event"), a.body)
	}
	return at
}

// request makes a request with a JSON body.
func request(method, url, body string) (answer, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, bytes.TrimSpace(text)}, err
}

// look is a request that a test makes to every worker, as a client of the
// gateway.
type look struct{ path, key string }

// shown is what it gets to see of the answer.
func shown(a answer) string {
	s := fmt.Sprintf("%d", a.status)
	if a.status == http.StatusOK {
		s += " " + strings.TrimSpace(string(a.body))
	}
	for _, name := range []string{"X-Consumer", "X-Tag"} {
		if v := a.header.Get(name); v != "" {
			s += " " + name + "=" + v
		}
	}
	return s
}

// serves waits until every worker of the given nodes serves what is wanted, and
// has it in its cache: so one that is not told of the next change goes on
// serving it.
func serves(t *testing.T, nodes []*fleetNode, l look, want string) {
	t.Helper()
	var last string
	if !testkit.Poll(func() bool {
		for _, n := range nodes {
			if err := n.pool.each(func(w *nginxWorker) error {
				var a answer
				for range 2 { // the first may have to read it
					var err error
					if a, err = w.do("GET", l.path, "apikey", l.key); err != nil {
						return err
					}
				}
				if got := shown(a); got != want || a.header.Get("X-Cache") != "hit" {
					return fmt.Errorf("worker %d serves %q, a %s", w.state.Worker, got, a.header.Get("X-Cache"))
				}
				return nil
			}); err != nil {
				last = n.name + ": " + err.Error()
				return false
			}
		}
		return true
	}) {
		t.Fatalf("%+v: want %q of every worker: %s", l, want, last)
	}
}
