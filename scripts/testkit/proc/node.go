package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/stock"
)

// Node is a serf agent, stock or ours, in a process of its own.
type Node struct {
	*Process
	Gossip, RPC, HTTP string // addresses; http only of ours
}

// RunningLine has the addresses of an agent of ours that is up.
var RunningLine = regexp.MustCompile(`msg="agent is running".* gossip=(\S+) rpc=(\S+) http=(\S+) `)

// Profile is the gossip of agents where a test does not say otherwise. With
// "local" a node has one second for a full sync and 200 ms for a probe, which a
// busy machine may take.
const Profile = "-profile=lan"

// AgentArgs is the command line of an agent of ours on free ports that it picks
// itself. Later flags win, so args may say otherwise.
func AgentArgs(name string, args ...string) []string {
	return append([]string{"agent", "-node=" + name, "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0",
		"-http-addr=127.0.0.1:0", Profile}, args...)
}

// StartAgent starts an agent of ours, see AgentArgs, and returns once it answers
// RPC.
func StartAgent(dir, name string, env []string, args ...string) (*Node, error) {
	return StartProgram(dir, "agentctl", name, env, args...)
}

// StartProgram is StartAgent with a program of one's own, such as one of BuildAs.
func StartProgram(dir, program, name string, env []string, args ...string) (*Node, error) {
	p, err := Start(dir, name, env, program, AgentArgs(name, args...)...)
	if err != nil {
		return nil, err
	}
	n := &Node{Process: p}
	if !testkit.Poll(func() bool {
		if m := RunningLine.FindStringSubmatch(p.Printed()); m != nil {
			n.Gossip, n.RPC, n.HTTP = m[1], m[2], m[3]
		}
		return n.RPC != "" || p.Ended()
	}) || n.RPC == "" {
		p.Kill()
		return nil, fmt.Errorf("agent %s did not come up:\n%s", name, p.Printed())
	}
	return n, n.Answers()
}

// StartStock starts a stock serf agent on free ports and returns once it
// answers RPC.
func StartStock(dir, name, version string, env []string, args ...string) (*Node, error) {
	program, err := stock.Install(version)
	if err != nil {
		return nil, err
	}
	n := &Node{Gossip: "127.0.0.1:" + loopback.Port(), RPC: "127.0.0.1:" + loopback.Port()}
	n.Process, err = Start(dir, name, env, program, append([]string{"agent", "-node=" + name,
		"-bind=" + n.Gossip, "-rpc-addr=" + n.RPC, Profile, "-log-level=debug"}, args...)...)
	if err != nil {
		return nil, err
	}
	if err = n.Answers(); err != nil {
		n.Kill()
		return nil, fmt.Errorf("%w:\n%s", err, n.Printed())
	}
	return n, nil
}

// Answers waits until the agent answers RPC.
func (n *Node) Answers() error {
	var last error
	if testkit.Poll(func() bool {
		var c *rpcclient.Client
		if c, last = rpcclient.Dial(context.Background(), rpcclient.Config{Addr: n.RPC}); last == nil {
			c.Close()
		}
		// That a key is wanted is an answer, too.
		return last == nil || errors.Is(last, rpcclient.ErrAuthRequired) || n.Ended()
	}) && !n.Ended() {
		return nil
	}
	return fmt.Errorf("agent %s does not answer RPC: %w", n.Name, last)
}

// NewAgent is StartAgent for a test.
func NewAgent(t *testing.T, name string, args ...string) *Node {
	t.Helper()
	n, err := StartAgent(t.TempDir(), name, os.Environ(), args...)
	if n != nil {
		KillAtEnd(t, n.Process)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// NewStock is StartStock for a test.
func NewStock(t *testing.T, name, version string, args ...string) *Node {
	t.Helper()
	n, err := StartStock(t.TempDir(), name, version, os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	KillAtEnd(t, n.Process)
	return n
}
