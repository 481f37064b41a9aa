package kong

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/slowfs"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

const (
	// restartsEnv says how often each restart is made. At length stock serf is
	// restarted as often, by turns.
	restartsEnv = "AGENTCTL_TEST_KONG_RESTARTS"

	// kongPatience is how long Kong waits behind its SIGTERM. If the agent is still
	// there then, Kong starts no new one.
	kongPatience = 50 * time.Millisecond
	// lateInARow is how often in a row an agent may be late for that. A busy machine
	// makes any program late at times. An agent that waits for a gateway, a script or
	// a disk is late each time.
	lateInARow = 6
	slowSync   = 200 * time.Millisecond
)

// restarted is what a restart has to go on with, and what came of it.
type restarted struct {
	*kongNode
	stock  bool
	script string          // the event script
	gone   []time.Duration // from SIGTERM to the end
	left   []time.Duration // what "leave" took
	took   []time.Duration // from the start to RPC
	late   int             // how often the agent was there when Kong looked for it
}

// run starts an agent as Kong does, has something wait, and ends the agent again: by a
// leave and a SIGTERM as Kong does, or by a SIGTERM alone. It tells whether the agent
// was gone in time for Kong to start another one.
func (r *restarted) run(leave bool, busy func() error) (inTime bool, err error) {
	if err := r.start(r.script); err != nil {
		return false, err
	}
	r.took = append(r.took, r.kongNode.took)
	pid, err := r.process()
	if err != nil {
		return false, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		log, _ := os.ReadFile(r.log)
		return false, fmt.Errorf("the agent is gone after %v: %w: %s", max(kongWait, r.kongNode.took), err, log)
	}
	defer unix.Close(fd)
	defer unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // of no use once it is gone
	if err := busy(); err != nil {
		return false, err
	}
	if leave {
		began := time.Now()
		out, err := r.call("leave -rpc-addr=RPC")
		// Stock serf may end before its client has taken up the answer.
		if ok := err == nil && out == "Graceful leave complete\n"; !ok && !(r.stock && strings.Contains(out, "client closed")) {
			return false, fmt.Errorf("leave: %w: %q", err, out)
		}
		r.left = append(r.left, time.Since(began))
	}
	began := time.Now()
	ended := make(chan time.Duration, 1)
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); errors.Is(err, unix.ESRCH) {
		ended <- 0 // and some init has waited for it already
	} else if err != nil {
		return false, err
	} else {
		go func() {
			took := time.Duration(-1)
			if waitFor(fd) == nil {
				took = time.Since(began)
			}
			unix.Wait4(pid, nil, unix.WNOHANG, nil) // in place of init
			ended <- took
		}()
	}
	<-time.After(kongPatience - time.Since(began))
	inTime = syscall.Kill(pid, 0) != nil
	took := <-ended
	if took < 0 {
		return false, errors.New("the agent does not end")
	}
	r.gone = append(r.gone, took)
	if !inTime {
		r.late++
	}
	return inTime, nil
}

// waitFor waits for the end of a process.
func waitFor(fd int) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(testkit.Patience/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = os.ErrDeadlineExceeded
		}
		return err
	}
}

func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "–"
	}
	d = slices.Sorted(slices.Values(d))
	return fmt.Sprintf("%v/%v/%v", d[0].Round(10*time.Microsecond), d[len(d)/2].Round(10*time.Microsecond), d[len(d)-1].Round(10*time.Microsecond))
}

// TestRestart has Kong's sequence at a stop and the next start: the gateway goes, then
// comes "leave", then SIGTERM, and 50 ms later the agent has to be gone, whatever waits
// for whom. The next agent starts at the same ports with Kong's flags. A SIGTERM alone
// ends the agent in the same time, and does not leave.
func TestRestart(t *testing.T) {
	times := testkit.Setting(t, restartsEnv, 2, 50)
	// Kong's agents are orphans. Kong looks for them a moment after their end, and not
	// every init has waited for them by then. So these are left to this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	stockSerf, ours := "", proc.BuildAs(t, "serf")
	if times > 2 {
		stockSerf = stock.Serf(t, stock.V085)
	}
	for name, prepare := range map[string]func(*testing.T, *restarted) func() error{
		"nothing waits":        func(*testing.T, *restarted) func() error { return func() error { return nil } },
		"events wait":          eventsWait,
		"events wait, on disk": eventsWaitOnDisk,
		"a script runs":        scriptRuns,
		"slow disk":            slowDisk,
		"joins hang":           joinsHang,
	} {
		for _, leave := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, leave=%v", name, leave), func(t *testing.T) {
				programs := map[string]*restarted{"ours": {kongNode: newKongNode(t, ours)}}
				if stockSerf != "" {
					programs["stock"] = &restarted{kongNode: newKongNode(t, stockSerf), stock: true}
				}
				busy := map[string]func() error{}
				for who, r := range programs {
					busy[who] = prepare(t, r)
					r.script = cmp.Or(r.script, "true")
				}
				for range times {
					for who, r := range programs {
						for try := 1; ; try++ {
							inTime, err := r.run(leave, busy[who])
							if err != nil {
								log, _ := os.ReadFile(r.log)
								t.Fatalf("%s: %v\nlog:\n%s", who, err, log)
							}
							if inTime || r.stock {
								break
							}
							if try == lateInARow {
								t.Fatalf("%d times in a row the agent was still there %v behind its SIGTERM; it was gone after %v", try, kongPatience, r.gone[len(r.gone)-try:])
							}
						}
					}
				}
				for who, r := range programs {
					t.Logf("SUMMARY %s, %s, leave=%v: %d ends; from SIGTERM to the end %s (least, median, most), %d later than %v; leave %s; start to RPC %s",
						who, name, leave, len(r.gone), spread(r.gone), r.late, kongPatience, spread(r.left), spread(r.took))
				}
			})
		}
	}
}

// publish publishes events of a name, as Kong does.
func (r *restarted) publish(name string, n int) error {
	for i := range n {
		if _, err := r.call(fmt.Sprintf("event -coalesce=false -rpc-addr=RPC %s '%s'", name, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

// eventsWait has events wait for a gateway that was stopped.
func eventsWait(t *testing.T, r *restarted) func() error {
	host, port, err := net.SplitHostPort(loopback.Addr())
	if err != nil {
		t.Fatal(err)
	}
	r.script = writeKongScript(t, host, port)
	return func() error { return r.publish("kong", 3) }
}

// eventsWaitOnDisk likewise, with a journal and serf's snapshot in files. It also has
// them wait for a gateway that does not answer, and one that answers "later".
func eventsWaitOnDisk(t *testing.T, r *restarted) func() error {
	busy := eventsWait(t, r)
	dir := t.TempDir()
	if !r.stock {
		r.env = append(r.env, "AGENTCTL_DATA_DIR="+dir)
		for _, turn := range []func(*stub.Gateway) error{
			(*stub.Gateway).Hang,
			func(gw *stub.Gateway) error { return gw.Answer(503, "Retry-After", "300") },
		} {
			gw, err := stub.NewGateway()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(gw.Close)
			if err := turn(gw); err != nil {
				t.Fatal(err)
			}
			r.flags = append(r.flags, "-event-handler 'user:kong="+gw.URL()+"'")
		}
	}
	r.flags = append(r.flags, "-snapshot '"+filepath.Join(dir, "serf.snapshot")+"'")
	return busy
}

// scriptRuns has a script run that does not end. It has to run on, as stock serf leaves it.
func scriptRuns(t *testing.T, r *restarted) func() error {
	pids := filepath.Join(t.TempDir(), "pids")
	r.flags = append(r.flags, "-event-handler 'user:slow=echo $$ >>"+pids+"; exec sleep 1000'")
	seen := 0
	running := func() []string {
		data, _ := os.ReadFile(pids)
		return strings.Fields(string(data))
	}
	end := func() error {
		for _, pid := range running()[:seen] {
			if out, err := exec.Command("/bin/kill", "-9", pid).CombinedOutput(); err != nil {
				return fmt.Errorf("the script that ran at the end was ended, too: %w: %s", err, out)
			}
		}
		seen = 0
		return os.RemoveAll(pids)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return func() error {
		if err := end(); err != nil {
			return err
		}
		if err := r.publish("slow", 2); err != nil {
			return err
		}
		if !testkit.Poll(func() bool { return len(running()) == 1 }) {
			return errors.New("the script does not run")
		}
		seen = 1
		return nil
	}
}

// joinsHang has the agent dial somebody who never answers.
func joinsHang(t *testing.T, r *restarted) func() error {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	r.flags = append(r.flags, "-join "+silent.Addr().String(), "-retry-join "+silent.Addr().String())
	return func() error {
		conn, err := silent.Accept() // a join is under way
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return err
	}
}

// slowDisk has events wait, with a journal and serf's snapshot on a disk whose syncs
// take long. The last event's commit is over when the agent is told to end: the kernel
// ends no process in the middle of a sync.
func slowDisk(t *testing.T, r *restarted) func() error {
	busy := eventsWait(t, r)
	dir := t.TempDir()
	if !slowfs.Mount(t, dir, slowSync) {
		testkit.NotRun(t, "a file system with slow syncs")
	}
	if r.stock {
		r.flags = append(r.flags, "-snapshot '"+filepath.Join(dir, "serf.snapshot")+"'")
		return busy
	}
	n := &proc.Node{HTTP: loopback.Addr()}
	r.env = append(r.env, "AGENTCTL_DATA_DIR="+dir, "AGENTCTL_HTTP_ADDR="+n.HTTP)
	return func() error {
		if err := busy(); err != nil {
			return err
		}
		// The last that comes by itself is the node's own join, a second after the start.
		if !testkit.Poll(func() bool {
			return proc.Metric(t, n, `agentctl_events_received_total{type="member-join",way="gossip"}`) > 0 && proc.JournalMetric(t, n, "unwritten_events") == 0
		}) {
			return errors.New("the events are not written")
		}
		return nil
	}
}

// TestStopDuringTheStart ends agents that have hardly begun: whatever they had opened by
// then, they are gone in time, and the next one starts.
func TestStopDuringTheStart(t *testing.T) {
	times := testkit.Setting(t, restartsEnv, 2, 50) * 5
	r := &restarted{kongNode: newKongNode(t, proc.BuildAs(t, "serf"))}
	dir := t.TempDir()
	r.rpc = "unix:" + filepath.Join(dir, "rpc")
	args := []string{
		"agent", "-profile", "wan", "-bind", "127.0.0.1:" + r.gossip, "-rpc-addr", r.rpc, "-log-level", "err",
		"-data-dir", filepath.Join(dir, "data"), "-event-handler", "user:kong=http://" + loopback.Addr() + "/",
	}
	late := 0
	for i := range times {
		p, err := proc.Start(dir, fmt.Sprint(i), os.Environ(), r.serf, args...)
		if err != nil {
			t.Fatal(err)
		}
		proc.KillAtEnd(t, p)
		after := time.Duration(i%30) * 2 * time.Millisecond
		time.Sleep(after)
		began := time.Now()
		if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-p.Done
		took := time.Since(began)
		r.gone = append(r.gone, took)
		if late++; took < kongPatience {
			late = 0
		}
		if late == lateInARow || p.Cmd.ProcessState.ExitCode() == 0 {
			t.Fatalf("%v behind the start a SIGTERM took %v; %v; it printed:\n%s", after, took, p.Cmd.ProcessState, p.Printed())
		}
	}
	t.Logf("SUMMARY %d SIGTERMs up to 60 ms behind the start: to the end %s (least, median, most)", times, spread(r.gone))
	p, err := proc.Start(dir, "last", os.Environ(), r.serf, args...)
	if err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, p)
	socket := strings.TrimPrefix(r.rpc, "unix:")
	testkit.WaitFor(t, "the next agent to run", func() bool { return strings.Contains(p.Printed(), "Log data will now stream") })
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Exit(); err != nil || status != 1 {
		t.Errorf("status %d, %v; it printed:\n%s", status, err, p.Printed())
	}
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of an agent that ran is still there: %v", err)
	}
}
