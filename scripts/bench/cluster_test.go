//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agentctl/scripts/testkit"
)

// newBench is a bench with both programs.
func newBench(t *testing.T) *bench {
	b := &bench{plan: shortPlan, profile: "local", out: t.Output(), began: time.Now()}
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.cleanup)
	b.plan.quiet, b.plan.settle = time.Minute, time.Minute // all has to come, and then it is over
	b.plan.latencyMin, b.plan.latencyMax, b.plan.latencyTime = 2, 3, time.Minute
	return b
}

// TestScripts has each script POST an event as serf hands it over.
func TestScripts(t *testing.T) {
	for _, program := range []string{"perl", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			continue // one of them is there: interpreter says so
		}
		for _, k := range []kind{kongScript, curlScript} {
			rec := newRecorder(2)
			gw, err := newGateway(rec)
			if err != nil {
				t.Fatal(err)
			}
			defer gw.close()
			round := rec.begin(1)
			path, err := script(k, t.TempDir(), program, gw.url(1))
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", path)
			cmd.Env = append(os.Environ(), "SERF_EVENT=user", "SERF_USER_EVENT=kong")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			in.Write(append(payload(round, 0), '\n')) // serf ends it with a newline
			in.Close()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v\n%s", k, program, err, out)
			}
			if o := rec.outcome(1); o.shares[1] != 1 || o.shares[0] != 0 {
				t.Errorf("%s, %s: nothing came, or not from its member: %+v", k, program, o)
			}
		}
	}
	if _, err := interpreter(); err != nil {
		t.Error(err)
	}
}

// TestClusters publishes in small clusters of every kind: every event comes
// everywhere once.
func TestClusters(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it starts clusters as processes")
	}
	b := newBench(t)
	clusters := [][]kind{{ours, ours, noScript}, {kongScript, curlScript}, {noScript, noScript}}
	if !testkit.Long() {
		clusters = clusters[:1]
	}
	for _, kinds := range clusters {
		f, err := b.flow(t.Context(), "a few events", 20, 0, kinds...)
		if err != nil {
			t.Fatal(err)
		}
		if f.worst() != 1 || f.repeats != 0 || f.after <= 0 {
			t.Errorf("%v: %+v", kinds, f)
		}
	}
	times, lost, err := b.latencies(t.Context(), ours, 2, "local")
	if err != nil || lost != 0 || len(times) != 3 {
		t.Errorf("latencies are %v, %d lost, %v", times, lost, err)
	}
	if b.keep {
		t.Errorf("something was amiss: the logs were to be kept")
	}
	if left, _ := filepath.Glob("/proc/[0-9]*/exe"); len(left) > 0 {
		for _, exe := range left {
			if target, _ := os.Readlink(exe); target == b.ours {
				t.Errorf("an agent lives on: %s", exe)
			}
		}
	}
}

// TestLossIsKept has an agent of ours that did not deliver all.
func TestLossIsKept(t *testing.T) {
	b := &bench{out: t.Output(), began: time.Now()}
	c := &cluster{dir: t.TempDir(), members: []*member{{kind: noScript, ip: "127.0.0.1"}, {kind: ours, ip: "127.0.0.1"}}}
	b.checkLoss(c, outcome{shares: []float64{0.5, 1}})
	if b.keep {
		t.Error("what a stock agent lost is kept, too")
	}
	b.checkLoss(c, outcome{shares: []float64{1, 0.99}})
	if !b.keep {
		t.Error("what an agent of ours lost is not looked at")
	}
}
