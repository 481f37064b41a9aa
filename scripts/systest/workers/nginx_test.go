//go:build unix

package workers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// gatewayDir is where the gateway of testdata is.
func gatewayDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../testdata/gateway")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// needNginx skips a test where there is no nginx with Lua.
func needNginx(t *testing.T) {
	t.Helper()
	cmd := exec.Command(filepath.Join(gatewayDir(t), "run.sh"), "-check")
	out, err := cmd.CombinedOutput()
	if err != nil {
		testkit.NotRun(t, "%s", strings.TrimSpace(string(out)))
	}
}

// luaNginx is an nginx of testdata/gateway. Its addresses stay the same from one
// life to the next.
type luaNginx struct {
	*proc.Process
	dir    string
	listen string   // an address that it answers at once it is up
	args   []string // of run.sh
}

// newNginx starts an nginx of a template, with NAME=VALUE for what the template
// wants, and returns once it can be connected to.
func newNginx(t *testing.T, template, listen string, values ...string) *luaNginx {
	t.Helper()
	n := &luaNginx{dir: t.TempDir(), listen: listen}
	n.args = append([]string{template, n.dir}, values...)
	n.start(t)
	t.Cleanup(func() { n.end(t) })
	return n
}

func (n *luaNginx) start(t *testing.T) {
	t.Helper()
	p, err := proc.Start(t.TempDir(), n.args[0], os.Environ(), filepath.Join(gatewayDir(t), "run.sh"), n.args...)
	if err != nil {
		t.Fatal(err)
	}
	n.Process = p
	if !testkit.Poll(func() bool {
		conn, err := net.Dial("tcp", n.listen)
		if err != nil {
			return p.Ended()
		}
		conn.Close()
		return true
	}) || p.Ended() {
		t.Fatalf("nginx did not come up: %s%s", p.Printed(), n.log())
	}
}

// stop ends the nginx and its workers. A master that is killed would leave its
// workers behind.
func (n *luaNginx) stop(t *testing.T) {
	t.Helper()
	n.Cmd.Process.Signal(syscall.SIGTERM) // it has ended already
	if _, err := n.Exit(); err != nil {
		t.Error(err)
		n.Kill()
	}
}

// reload makes the master start new workers and end the old ones.
func (n *luaNginx) reload(t *testing.T) {
	t.Helper()
	if err := n.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func (n *luaNginx) end(t *testing.T) {
	n.stop(t)
	// A cache is dropped where a hook failed, or a worker was too far behind.
	for line := range strings.Lines(n.log()) {
		if slices.ContainsFunc([]string{"runtime error", "[emerg]", "exited on signal 11", "exited on signal 6", "the cache is dropped"}, func(sign string) bool {
			return strings.Contains(line, sign)
		}) {
			t.Errorf("nginx logged: %s", line)
		}
	}
	if t.Failed() {
		t.Logf("%s %q printed %s, and logged:\n%s", n.args[0], n.args[2:], n.Printed(), proc.Tail(n.log(), 8<<10))
	}
}

// log is the error log so far.
func (n *luaNginx) log() string {
	text, err := os.ReadFile(filepath.Join(n.dir, "error.log"))
	if err != nil {
		return fmt.Sprintf("no log: %v\n", err)
	}
	return string(text)
}
