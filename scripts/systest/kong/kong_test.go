//go:build unix

package kong

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// kongNode is a Kong's view of its serf.
type kongNode struct {
	serf, dir  string
	gossip     string
	rpc        string
	log, pid   string
	env, flags []string            // beside Kong's own
	credential *syscall.Credential // of Kong's workers
	took       time.Duration       // from the start to RPC
}

// kongWait is how long Kong waits after it started serf, before it uses it.
const kongWait = 200 * time.Millisecond

func newKongNode(t *testing.T, serf string) *kongNode {
	dir := t.TempDir()
	return &kongNode{
		serf: serf, dir: dir, gossip: loopback.Port(), rpc: loopback.Addr(),
		log: filepath.Join(dir, "serf.log"), pid: filepath.Join(dir, "serf.pid"),
	}
}

// start runs the command that Kong 0.10 starts serf with, its flags in a random
// order, and waits as Kong does, or longer where the machine is too busy.
func (k *kongNode) start(script string) error {
	flags := []string{
		"-profile 'wan'",
		fmt.Sprintf("-bind '0.0.0.0:%s'", k.gossip),
		"-log-level 'err'",
		fmt.Sprintf("-rpc-addr '%s'", k.rpc),
		fmt.Sprintf("-event-handler 'member-join,member-leave,member-failed,member-update,member-reap,user:kong=%s'", script),
		fmt.Sprintf("-node 'host_0.0.0.0:%s_%x'", k.gossip, rand.Uint64()),
		"-advertise '127.0.0.1'",
		"-encrypt 'T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s='",
	}
	flags[6] = fmt.Sprintf("-advertise '127.0.0.1:%s'", k.gossip)
	flags = append(flags, k.flags...)
	rand.Shuffle(len(flags), func(i, j int) { flags[i], flags[j] = flags[j], flags[i] })
	began := time.Now()
	line := fmt.Sprintf("nohup %s agent %s > %s 2>&1 & echo $! > %s", k.serf, strings.Join(flags, " "), k.log, k.pid)
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Env = append(os.Environ(), k.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if !testkit.PollAt(testkit.Patience, time.Millisecond, func() bool {
		conn, err := net.Dial("tcp", k.rpc)
		if err == nil {
			conn.Close()
			k.took = time.Since(began)
		}
		return err == nil
	}) {
		return errors.New("the agent does not answer RPC")
	}
	<-time.After(kongWait - k.took)
	return nil
}

// process is the pid of the agent that was started.
func (k *kongNode) process() (int, error) {
	data, err := os.ReadFile(k.pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// startAndKill is start, with a handler that does nothing, and the end of it.
func (k *kongNode) startAndKill() error {
	if err := k.start("true"); err != nil {
		return err
	}
	pid, err := k.process()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// call runs a command of serf's through a shell, as one of Kong's workers.
func (k *kongNode) call(args string) (string, error) {
	cmd := exec.Command("/bin/sh", "-c", k.serf+" "+strings.ReplaceAll(args, "RPC", k.rpc))
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: k.credential}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("serf %s: %w: %s", args, err, stdout.String())
	}
	return stdout.String(), err
}

// life starts the agent and makes the calls that Kong makes, to its end. The gateway
// is this agent's alone. Called as serf, the agent waits for no gateway when it leaves:
// so its events are awaited before.
func (k *kongNode) life(t *testing.T, gw *stub.Gateway) error {
	host, port, err := net.SplitHostPort(gw.Addr)
	if err != nil {
		return err
	}
	if err := k.start(writeKongScript(t, host, port)); err != nil {
		return err
	}
	pid, err := k.process()
	if err != nil {
		return err
	}
	gone := func() bool { return syscall.Kill(pid, 0) != nil }
	defer func() {
		if !gone() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	if gone() {
		log, _ := os.ReadFile(k.log)
		return fmt.Errorf("the agent is gone after %v: %s", max(kongWait, k.took), log)
	}
	out, err := k.call("members -rpc-addr=RPC -format 'json'")
	if err != nil {
		return err
	}
	var list struct {
		Members []struct{ Name, Addr, Status string }
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Members) != 1 ||
		list.Members[0].Addr != "127.0.0.1:"+k.gossip || list.Members[0].Status != "alive" {
		return fmt.Errorf("members: %v: %s", err, out)
	}
	payload := `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"it'\''s"}}`
	for args, want := range map[string]string{
		"event -coalesce=false -rpc-addr=RPC kong '" + payload + "'":                  "Event 'kong' dispatched! Coalescing enabled: false\n",
		"event -coalesce=false -rpc-addr=RPC kong '" + strings.Repeat(`"`, 512) + "'": "Event 'kong' dispatched! Coalescing enabled: false\n",
		fmt.Sprintf("join -rpc-addr=RPC %s", list.Members[0].Addr):                    "Successfully joined cluster by contacting 1 nodes.\n",
		"force-leave -rpc-addr=RPC nobody":                                            "",
		"keys -rpc-addr=RPC -install T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=":    "==> Installing key on all members...\n==> Successfully installed key!\n",
	} {
		if out, err := k.call(args); err != nil || out != want {
			return fmt.Errorf("serf %s: %w: %q, want %q", args, err, out, want)
		}
	}
	// The two were posted in process: nothing on this machine could have run the
	// script's Lua.
	if !testkit.Poll(func() bool { return len(gw.TakenUser()) >= 2 }) {
		return fmt.Errorf("%d of 2 events were posted", len(gw.TakenUser()))
	}
	if out, err := k.call("leave -rpc-addr=RPC"); err != nil || out != "Graceful leave complete\n" {
		return fmt.Errorf("leave: %w: %q", err, out)
	}
	if n := len(gw.TakenUser()); n != 2 {
		return fmt.Errorf("%d events were posted, want 2", n)
	}
	if !testkit.Poll(gone) {
		return fmt.Errorf("the agent is still there after a leave")
	}
	return nil
}

// kongLivesEnv says how often TestKongStartsIt does it; scripts/check.sh -all has it
// do it 50 times. Then stock serf is started as often, by turns: Kong's 200 ms
// are real ones, and a busy machine is late for them with any program.
const kongLivesEnv = "AGENTCTL_TEST_KONG_LIVES"

// TestKongStartsIt runs Kong's own command line, literally, and the calls that
// follow it 200 ms later as another user.
func TestKongStartsIt(t *testing.T) {
	times, atOnce := testkit.Setting(t, kongLivesEnv, 3, 50), 5
	long := times > 3
	var credential *syscall.Credential
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), NoSetGroups: true}
	} else {
		t.Log("not root: the calls are made as the same user")
	}
	serf := proc.BuildAs(t, "serf")
	stockSerf := ""
	if long {
		stockSerf = stock.Serf(t, stock.V085)
	}

	var mu sync.Mutex
	var took, stockTook []time.Duration
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range times {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			gw, err := stub.NewGateway()
			if err != nil {
				t.Error(err)
				return
			}
			defer gw.Close()
			k := newKongNode(t, serf)
			k.credential = credential
			if err := k.life(t, gw); err != nil {
				log, _ := os.ReadFile(k.log)
				t.Errorf("life %d: %v\nlog:\n%s", i, err, log)
				return
			}
			var s *kongNode
			if long {
				s = newKongNode(t, stockSerf)
				if err := s.startAndKill(); err != nil {
					t.Errorf("life %d of stock serf: %v", i, err)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, k.took)
			if long {
				stockTook = append(stockTook, s.took)
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	if len(took) > 0 {
		median := took[len(took)/2]
		t.Logf("SUMMARY from Kong's start command to RPC: half of %d within %v, the last after %v", len(took), median, took[len(took)-1])
		if len(stockTook) > 0 {
			slices.Sort(stockTook)
			stockMedian := stockTook[len(stockTook)/2]
			t.Logf("SUMMARY stock serf, by turns with it: half of %d within %v, the last after %v", len(stockTook), stockMedian, stockTook[len(stockTook)-1])
			if median > kongWait && median > 2*stockMedian {
				t.Errorf("half of the agents were not there when Kong came after %v: the median is %v, and stock serf's is %v", kongWait, median, stockMedian)
			}
		}
	}
}

// writeKongScript writes the event script of Kong 0.10 for a gateway.
func writeKongScript(t *testing.T, host, port string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "serf_event.sh")
	text := "#!/bin/sh\n\nPAYLOAD=`cat` # Read from stdin\n" + `if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi

CMD="\
local http = require 'resty.http' \
local client = http.new() \
client:set_timeout(5000) \
client:connect('` + host + `', ` + port + `) \
client:request { \
  method = 'POST', \
  path = '/cluster/events/', \
  body = [=[${PAYLOAD}]=], \
  headers = { \
    ['content-type'] = 'application/json' \
  } \
}"

resty -e "$CMD"
`
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
