package main

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

	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stub"

	"github.com/rogpeppe/go-internal/testscript"

	"agentctl/scripts/loopback"
)

// TestScripts runs the scripts of testdata/script, which also document the
// command line. Beside testscript's own commands they have these:
//
//	ports NAME...               set each variable to a port that is free
//	hold NAME...                the same, and keep the ports in use
//	free PORT...                fail unless all of the ports are free
//	bytes FILE TEXT             write TEXT, with Go's escapes (\x00), to FILE
//	fill FILE N                 write N bytes to FILE
//	gateway NAME                start a gateway; $NAME is its URL
//	answer NAME STATUS [K:V]... make it answer so; refuse and hang are answers, too
//	posted NAME N               wait until it has taken N events, and no more;
//	                            NAME/1.body and NAME/1.head are those of the first
//	tried NAME STATUS N         wait until it has answered N events so (STATUS may
//	                            be hang), or more
//	agent NAME [ARGS]           start an agent on free ports and wait for its RPC;
//	                            $NAME_rpc, $NAME_gossip, $NAME_http are its addresses
//	serf NAME VERSION [ARGS]    the same with stock serf; $serf is the program
//	start NAME PROGRAM [ARGS]   start a program; its output is in NAME.out and NAME.err
//	signal NAME INT|TERM|HUP|KILL
//	ended NAME STATUS           wait until it has ended, with this exit status
//	await PATTERN FILE          wait until FILE has a match
//	until PATTERN PROGRAM ARGS  run the program until its standard output has a match
//	exits STATUS PROGRAM ARGS   run the program, which ends with this exit status
//
// "env $unraced PROGRAM" runs one of serf's commands that have a data race.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
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
			ts.Fatalf("wrong use: see TestScripts")
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
