package script

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"
)

// Run runs each script of a folder as a subtest, in parallel with the others.
func Run(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv(proc.RaceEnv, os.Getenv(proc.RaceEnv))
			env.Setenv("unraced", proc.RaceEnv+"="+proc.Unraced)
			s := &script{dir: env.WorkDir, env: slices.Clone(env.Vars), running: map[string]*proc.Process{}, gateways: map[string]*stub.Gateway{}}
			env.Values[scriptKey{}] = s
			env.Defer(func() { s.end(env.T().(testing.TB)) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ports":   cmd(1, -1, (*script).ports),
			"hold":    cmd(1, -1, (*script).hold),
			"free":    cmd(1, -1, (*script).free),
			"bytes":   cmd(2, 2, (*script).bytes),
			"fill":    cmd(2, 2, (*script).fill),
			"gateway": cmd(1, 1, (*script).gateway),
			"answer":  cmd(2, -1, (*script).answer),
			"posted":  cmd(2, 2, (*script).posted),
			"tried":   cmd(3, 3, (*script).tried),
			"agent":   cmd(1, -1, (*script).agent),
			"serf":    cmd(2, -1, (*script).serf),
			"start":   cmd(2, -1, (*script).start),
			"signal":  cmd(2, 2, (*script).signal),
			"ended":   cmd(2, 2, (*script).ended),
			"await":   cmd(2, 2, (*script).await),
			"until":   cmd(2, -1, (*script).until),
			"exits":   cmd(2, -1, (*script).exits),
		},
	})
}

type scriptKey struct{}

// script is what one script has started.
type script struct {
	dir      string
	env      []string // of the programs that run beside it
	running  map[string]*proc.Process
	gateways map[string]*stub.Gateway
	held     []func() error
}

// cmd makes a command of a script's out of a method that returns an error.
func cmd(least, most int, run func(*script, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least || most >= 0 && len(args) > most {
			ts.Fatalf("wrong use: see package scripts/testkit/script")
		}
		ts.Check(run(ts.Value(scriptKey{}).(*script), ts, args))
	}
}

// end ends all that the script has started.
func (s *script) end(t testing.TB) {
	for _, name := range slices.Sorted(maps.Keys(s.running)) {
		p := s.running[name]
		p.Kill()
		if bug := p.Bug(); bug != "" {
			t.Errorf("%s printed %q", name, bug)
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, proc.Tail(p.Printed(), 4<<10))
		}
	}
	for _, g := range s.gateways {
		g.Close()
	}
	for _, release := range s.held {
		release() // the test is over
	}
}

func (s *script) ports(ts *testscript.TestScript, names []string) error {
	for _, name := range names {
		ts.Setenv(name, loopback.Port())
	}
	return nil
}

func (s *script) hold(ts *testscript.TestScript, names []string) error {
	if err := s.ports(ts, names); err != nil {
		return err
	}
	for _, name := range names {
		addr := net.JoinHostPort("127.0.0.1", ts.Getenv(name))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		s.held = append(s.held, ln.Close)
		conn, err := net.ListenPacket("udp", addr)
		if err != nil {
			return err
		}
		s.held = append(s.held, conn.Close)
	}
	return nil
}

func (s *script) free(_ *testscript.TestScript, ports []string) error {
	for _, p := range ports {
		port, err := strconv.Atoi(p)
		if err != nil {
			return err
		}
		if err := portIsFree(port); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) bytes(ts *testscript.TestScript, args []string) error {
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
	if err != nil {
		return fmt.Errorf("%q: %w", args[1], err)
	}
	return os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600)
}

func (s *script) fill(ts *testscript.TestScript, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("x"), n), 0o600)
}

// portIsFree returns an error where a port of loopback is in use, for TCP or UDP.
func portIsFree(port int) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
