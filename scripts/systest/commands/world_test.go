//go:build linux

package commands

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/stock"
)

// insideEnv is set in the process that runs the pages' commands.
const insideEnv = "AGENTCTL_TEST_PAGES_INSIDE"

// pageWorld is where the commands of the pages are run as they are printed: a network
// and a view of the file system of their own, so that they find the usual ports
// free, and what they write is gone at the end.
type pageWorld struct {
	t        *testing.T
	repo     string // the working directory, as the reader's is the repository
	env      []string
	cache    atomic.Int32 // what the cache at port 6081 answers
	peer     *exec.Cmd    // what holds the other node's network
	gateway1 *running
}

// TestPageCommands runs the blocks of the pages that pageRuns has, each once.
func TestPageCommands(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		if out, err := exec.Command("unshare", "-n", "-m", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			testkit.NotRun(t, "it needs Linux, and root that may make networks and mounts: %v: %s", err, out)
		}
		cmd := exec.Command("unshare", "-n", "-m", os.Args[0], "-test.run=^TestPageCommands$", "-test.v", "-test.timeout=10m")
		cmd.Env = append(os.Environ(), insideEnv+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	w := newPageWorld(t)
	var order []string
	for text := range pageRuns {
		order = append(order, text)
	}
	slices.SortFunc(order, func(a, b string) int { return pageRuns[a].at - pageRuns[b].at })
	type kept struct {
		*running
		pageRun
	}
	var staying []kept
	for _, text := range order {
		r := pageRuns[text]
		t.Logf("%s %s", time.Now().Format("15:04:05"), text)
		if r.before != nil {
			r.before(w)
		}
		if r.own != nil {
			text = r.own(w).Replace(text)
		}
		switch {
		case r.stays && r.until == 0:
			w.stop(w.start(text, r.want))
		case r.stays:
			first, _, _ := strings.Cut(r.want, ".*")
			staying = append(staying, kept{w.start(text, first), r})
		default:
			out := w.shell(text)
			if r.then != "" {
				out += w.shell(r.then)
			}
			if !regexp.MustCompile(r.want).MatchString(out) {
				t.Errorf("%s\nprints\n%s\nand not %s", text, out, r.want)
			}
		}
		staying = slices.DeleteFunc(staying, func(k kept) bool {
			if k.until == r.at {
				w.awaitOutput(k.running, k.want)
				w.stop(k.running)
			}
			return k.until == r.at
		})
	}
}

func newPageWorld(t *testing.T) *pageWorld {
	repo, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	goroot := filepath.Join(strings.TrimSpace(string(must(t, exec.Command("go", "env", "GOROOT")))), "bin")
	serf, tmp := stock.Serf(t, stock.V011), t.TempDir()
	w := &pageWorld{t: t, repo: repo}
	w.cache.Store(http.StatusOK)
	for _, line := range []string{
		"ip link set lo up",
		"mount -t tmpfs tmpfs " + tmp,
		"mkdir " + tmp + "/up " + tmp + "/work " + tmp + "/bin",
		"cp " + serf + " " + tmp + "/bin/serf",
		"mount -t overlay overlay -o lowerdir=" + repo + ",upperdir=" + tmp + "/up,workdir=" + tmp + "/work " + repo,
		"mount -t tmpfs tmpfs /usr/local/bin",
		"mount -t tmpfs tmpfs /opt",
		"mount -t tmpfs tmpfs /var/lib",
	} {
		must(t, exec.Command("sh", "-c", line))
	}
	t.Cleanup(func() { must(t, exec.Command("umount", "-l", repo, tmp)) })
	w.env = append(os.Environ(), "PATH=/usr/local/bin:"+tmp+"/bin:"+goroot+":"+os.Getenv("PATH"), "GOPROXY=off", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -trimpath")
	w.serve("127.0.0.1:8001", func() int { return http.StatusOK })
	w.serve("127.0.0.1:6081", func() int { return int(w.cache.Load()) })
	return w
}

func must(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return out
}

// serve is a gateway.
func (w *pageWorld) serve(addr string, answer func() int) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		rw.WriteHeader(answer())
	})}
	go srv.Serve(ln) // it returns when closed
	w.t.Cleanup(func() { srv.Close() })
}

// startPeer starts another agent, at 10.0.0.5 in a network of its own.
func (w *pageWorld) startPeer() {
	w.peer = exec.Command("unshare", "-n", "sleep", "600")
	if err := w.peer.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.peer.Process.Kill(); w.peer.Wait() })
	pid := w.peer.Process.Pid
	w.await("a network for the other node", func() bool {
		ours, _ := os.Readlink("/proc/self/ns/net")
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err == nil && its != ours
	})
	in := fmt.Sprintf("nsenter -t %d -n ", pid)
	w.shell(fmt.Sprintf("ip link add peer0 type veth peer name eth0 netns %d && ip addr add 10.0.0.1/24 dev peer0 && ip link set peer0 up", pid))
	w.shell(in + "ip addr add 10.0.0.5/24 dev eth0 && " + in + "ip link set eth0 up && " + in + "ip link set lo up")
	p := w.start(in+"agentctl agent -node=peer -event-handler=user:none=true", "agent is running")
	w.t.Cleanup(func() { w.stop(p) })
}

// running is a block that has not ended.
type running struct {
	cmd *exec.Cmd
	out *testkit.LogBuffer
}

func (w *pageWorld) command(text string) *exec.Cmd {
	cmd := exec.Command("bash", "-c", text)
	cmd.Dir, cmd.Env = w.repo, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// shell runs a block to its end, which has to be a good one.
func (w *pageWorld) shell(text string) string {
	w.t.Helper()
	return string(must(w.t, w.command(text)))
}

// start runs a block until its output has a match, and on.
func (w *pageWorld) start(text, want string) *running {
	w.t.Helper()
	r := &running{cmd: w.command(text), out: new(testkit.LogBuffer)}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.awaitOutput(r, want)
	return r
}

func (w *pageWorld) awaitOutput(r *running, want string) {
	w.t.Helper()
	re := regexp.MustCompile(want)
	if !testkit.PollFor(3*testkit.Patience, func() bool { return re.MatchString(r.out.String()) }) {
		w.t.Fatalf("%s\nprints\n%s\nand not %s", r.cmd.Args[2], r.out, want)
	}
}

// stop ends a block as Ctrl-C does.
func (w *pageWorld) stop(r *running) {
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT)
	late := time.AfterFunc(testkit.Patience, func() {
		w.t.Errorf("%s does not end at an interrupt", r.cmd.Args[2])
		syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	})
	r.cmd.Wait() // how it ends is its own
	late.Stop()
}

func (w *pageWorld) await(what string, cond func() bool) {
	w.t.Helper()
	testkit.WaitFor(w.t, what, cond)
}
