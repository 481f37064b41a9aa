//go:build unix

package workers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"agentctl/scripts/testkit"
)

// nginxWorkers is how many workers a node of the gateway has.
const nginxWorkers = 4

// nginxWorker is a worker process of a node, by a connection that it has
// accepted: all requests on it are this worker's. It is for one goroutine at a
// time. (http.Transport would at times give up a connection that is well.)
type nginxWorker struct {
	conn  net.Conn
	read  *bufio.Reader
	state workerState // when the connection was made
}

// workerState is what a worker says of itself.
type workerState struct {
	Node                             string
	Worker, Pid, Handled, Last, Gaps int
	Cached                           int
}

// answer is what a worker answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// dialWorker connects to whichever worker the system chooses.
func dialWorker(addr string) (*nginxWorker, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	w := &nginxWorker{conn: conn, read: bufio.NewReader(conn)}
	if err := w.look("/-/worker", &w.state); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *nginxWorker) close() { w.conn.Close() }

// do sends a request to the worker; header has names and values in turn.
func (w *nginxWorker) do(method, path string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, "http://"+w.conn.RemoteAddr().String()+path, nil)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	if err := w.conn.SetDeadline(time.Now().Add(testkit.Patience)); err != nil {
		return answer{}, err
	}
	if err := req.Write(w.conn); err != nil {
		return answer{}, err
	}
	res, err := http.ReadResponse(w.read, req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, err
}

// look reads JSON from the worker.
func (w *nginxWorker) look(path string, into any) error {
	a, err := w.do("GET", path)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("GET %s: %d: %s", path, a.status, a.body)
	}
	return json.Unmarshal(a.body, into)
}

// workerPool is a connection to each worker of a node. It is for one goroutine at
// a time.
type workerPool struct {
	addr    string
	workers [nginxWorkers]*nginxWorker
}

// each calls do with each worker, after it has made the connections that are
// missing. A connection that fails is given up: its worker may have ended.
func (p *workerPool) each(do func(*nginxWorker) error) error {
	if err := p.fill(); err != nil {
		return err
	}
	for i, w := range p.workers {
		if err := do(w); err != nil {
			w.close()
			p.workers[i] = nil
			return err
		}
	}
	return nil
}

// fill connects until there is a connection to each worker.
func (p *workerPool) fill() error {
	for range 200 {
		missing := false
		for _, w := range p.workers {
			missing = missing || w == nil
		}
		if !missing {
			return nil
		}
		w, err := dialWorker(p.addr)
		if err != nil {
			return err
		}
		if i := w.state.Worker; p.workers[i] == nil {
			p.workers[i] = w
		} else {
			w.close()
		}
	}
	return fmt.Errorf("200 connections to %s did not reach all %d workers", p.addr, nginxWorkers)
}

// renew forgets all connections.
func (p *workerPool) renew() {
	for i, w := range p.workers {
		if w != nil {
			w.close()
		}
		p.workers[i] = nil
	}
}

// newPool returns a pool that is closed at the test's end.
func newPool(t *testing.T, addr string) *workerPool {
	p := &workerPool{addr: addr}
	t.Cleanup(p.renew)
	return p
}

// killWorker kills one worker of the node; the master starts another in its place.
func (n *fleetNode) killWorker(t *testing.T) {
	t.Helper()
	testkit.WaitFor(t, "the workers of "+n.name+" are reached", func() bool {
		return n.pool.each(func(w *nginxWorker) error { return w.look("/-/worker", &w.state) }) == nil
	})
	if err := syscall.Kill(n.pool.workers[0].state.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
