package script

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

func (s *script) agent(ts *testscript.TestScript, args []string) error {
	n, err := proc.StartAgent(s.dir, args[0], s.env, args[1:]...)
	return s.joins(ts, n, err)
}

func (s *script) serf(ts *testscript.TestScript, args []string) error {
	program, err := stock.Install(args[1])
	if err != nil {
		return err
	}
	ts.Setenv("serf", program)
	n, err := proc.StartStock(s.dir, args[0], args[1], s.env, args[2:]...)
	return s.joins(ts, n, err)
}

// joins keeps a node that was started and tells its addresses.
func (s *script) joins(ts *testscript.TestScript, n *proc.Node, err error) error {
	if n == nil {
		return err
	}
	s.running[n.Name] = n.Process
	ts.Setenv(n.Name+"_rpc", n.RPC)
	ts.Setenv(n.Name+"_gossip", n.Gossip)
	ts.Setenv(n.Name+"_http", n.HTTP)
	return err
}

func (s *script) start(_ *testscript.TestScript, args []string) error {
	p, err := proc.Start(s.dir, args[0], s.env, args[1], args[2:]...)
	if err == nil {
		s.running[args[0]] = p
	}
	return err
}

// process finds one that was started.
func (s *script) process(name string) (*proc.Process, error) {
	p := s.running[name]
	if p == nil {
		return nil, fmt.Errorf("nothing was started as %s", name)
	}
	return p, nil
}

func (s *script) signal(_ *testscript.TestScript, args []string) error {
	p, err := s.process(args[0])
	if err != nil {
		return err
	}
	sig, ok := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}[args[1]]
	if !ok {
		return fmt.Errorf("unknown signal %s", args[1])
	}
	return p.Cmd.Process.Signal(sig)
}

func (s *script) ended(_ *testscript.TestScript, args []string) error {
	p, err := s.process(args[0])
	if err != nil {
		return err
	}
	code, err := p.Exit()
	if err == nil && strconv.Itoa(code) != args[1] {
		err = fmt.Errorf("%s ended with status %d, want %s", p.Name, code, args[1])
	}
	return err
}

func (s *script) await(ts *testscript.TestScript, args []string) error {
	re, err := regexp.Compile("(?m)" + args[0])
	if err != nil {
		return err
	}
	file := ts.MkAbs(args[1])
	if !testkit.Poll(func() bool {
		data, err := os.ReadFile(file)
		return err == nil && re.Match(data)
	}) {
		return fmt.Errorf("%s has no match of %q after %v", filepath.Base(file), args[0], testkit.Patience)
	}
	return nil
}

func (s *script) until(ts *testscript.TestScript, args []string) error {
	re, err := regexp.Compile("(?m)" + args[0])
	if err != nil {
		return err
	}
	if !testkit.Poll(func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && re.MatchString(ts.ReadFile("stdout"))
	}) {
		return fmt.Errorf("%q printed no match of %q after %v", args[1:], args[0], testkit.Patience)
	}
	return nil
}

func (s *script) exits(ts *testscript.TestScript, args []string) error {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else if err != nil {
		return err
	}
	if strconv.Itoa(code) != args[0] {
		return fmt.Errorf("ended with status %d, want %s", code, args[0])
	}
	return nil
}
