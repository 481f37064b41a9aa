//go:build unix

package presets

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
)

// site is whose pages are cached.
const site = "www.example.org"

// origin is the server behind the caches. It answers with its version and the
// path, and lets everything be cached for longer than a test takes.
type origin struct {
	addr    string
	version atomic.Int64
}

func newOrigin(t *testing.T) *origin {
	o := &origin{}
	o.version.Store(1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=86400")
		w.Header().Set("Surrogate-Key", "all, "+strings.Trim(strings.ReplaceAll(r.URL.Path, "/", "-"), "-"))
		fmt.Fprintf(w, "%s%s v%d", r.Host, r.RequestURI, o.version.Load())
	}))
	t.Cleanup(srv.Close)
	o.addr = srv.Listener.Addr().String()
	return o
}

// cacheKind is a kind of real server, as a test starts it.
type cacheKind struct {
	program string
	version []string // arguments that make it print its version
	module  string   // a file that it needs beside its program
	config  string   // in testdata/presets
	args    func(c *cache) []string
	// inMemory: what it caches ends with it. To be down it is stopped, with its
	// port open, and not ended.
	inMemory bool
}

var (
	varnishKind = &cacheKind{
		program: "varnishd", version: []string{"-V"}, config: "varnish.vcl", inMemory: true,
		args: func(c *cache) []string {
			return []string{"-F", "-n", filepath.Join(c.dir, "varnish"), "-a", c.addr, "-T", "none", "-S", "none",
				"-f", filepath.Join(c.dir, c.kind.config), "-s", "malloc,8m", "-j", "none", "-p", "thread_pool_min=10"}
		},
	}
	nginxKind = &cacheKind{
		program: "nginx", version: []string{"-v"}, config: "nginx.conf",
		module: "/usr/lib/nginx/modules/ngx_http_cache_purge_module.so",
		args: func(c *cache) []string {
			return []string{"-p", c.dir, "-c", filepath.Join(c.dir, c.kind.config), "-e", "stderr"}
		},
	}
	squidKind = &cacheKind{
		program: "squid", version: []string{"-v"}, config: "squid.conf", inMemory: true,
		args: func(c *cache) []string { return []string{"-N", "-f", filepath.Join(c.dir, c.kind.config)} },
	}
	caddyKind = &cacheKind{
		program: "caddy", version: []string{"version"}, config: "caddy.json",
		args: func(c *cache) []string { return []string{"run", "--config", filepath.Join(c.dir, c.kind.config)} },
	}
)

// need finds the kind's program, logs its version, and skips the test where it
// is not installed.
func (k *cacheKind) need(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath(k.program)
	if err != nil { // an ordinary user's PATH has no sbin
		program, err = exec.LookPath("/usr/sbin/" + k.program)
	}
	if err == nil && k.module != "" {
		_, err = os.Stat(k.module)
	}
	if err != nil {
		testkit.NotRun(t, "it needs %s: %v", k.program, err)
	}
	out, err := exec.Command(program, k.version...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	if k.module != "" {
		module, _ := exec.Command("dpkg-query", "-W", "-f", ", ${Package} ${Version}", "libnginx-mod-http-cache-purge").Output()
		version += string(module)
	}
	t.Logf("proven on %s: %s", k.program, version)
	return program
}

// cache is a real server that runs, or is down.
type cache struct {
	*proc.Process
	kind    *cacheKind
	program string
	dir     string
	addr    string // where clients ask, and where the preset's requests go but caddy's
	admin   string // caddy's
}

// newCache starts a server in front of an origin.
func newCache(t *testing.T, k *cacheKind, program, origin string) *cache {
	t.Helper()
	dir, err := os.MkdirTemp("", "agentctl-cache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // Squid's user writes here
		t.Fatal(err)
	}
	c := &cache{kind: k, program: program, dir: dir, addr: loopback.Addr(), admin: loopback.Addr()}
	text, err := os.ReadFile(filepath.Join("../../../testdata/presets", k.config))
	if err != nil {
		t.Fatal(err)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // its workers use this folder
	}
	host, port, err := net.SplitHostPort(origin)
	if err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("@ADDR@", c.addr, "@ORIGIN@", origin, "@ORIGIN_HOST@", host, "@ORIGIN_PORT@", port,
		"@DIR@", dir, "@USER@", user).Replace(string(text))
	if err := os.WriteFile(filepath.Join(dir, k.config), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.Process == nil {
			return
		}
		c.signal(syscall.SIGKILL)
		<-c.Done
		if t.Failed() {
			t.Logf("%s printed:\n%s", k.program, proc.Tail(c.Printed(), 4<<10))
		}
	})
	c.start(t)
	return c
}

// start starts the server, in a process group of its own, and waits until it
// listens.
func (c *cache) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(c.program, c.kind.args(c)...)
	cmd.Env = append(os.Environ(), "HOME="+c.dir, "ADMIN="+c.admin, "SITE="+c.addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if c.Process, err = proc.StartCommand(c.dir, c.kind.program, cmd); err != nil {
		t.Fatal(err)
	}
	listens := c.addr
	if c.kind == caddyKind {
		listens = c.admin
	}
	if !testkit.Poll(func() bool {
		conn, err := net.Dial("tcp", listens)
		if err == nil {
			conn.Close()
		}
		return err == nil || c.Ended()
	}) || c.Ended() {
		t.Fatalf("%s did not come up:\n%s", c.kind.program, c.Printed())
	}
}

// signal sends a signal to the server's processes, all of them.
func (c *cache) signal(s syscall.Signal) { syscall.Kill(-c.Cmd.Process.Pid, s) } // they may be gone

// down makes the server answer no more; up makes it answer again.
func (c *cache) down() {
	if c.kind.inMemory {
		c.signal(syscall.SIGSTOP)
		return
	}
	c.signal(syscall.SIGKILL)
	<-c.Done
}

func (c *cache) up(t *testing.T) {
	t.Helper()
	if c.kind.inMemory {
		c.signal(syscall.SIGCONT)
		return
	}
	c.start(t)
}

// get asks the server for a page, and returns what it answers or, where it does
// not answer, an error's text.
func (c *cache) get(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = site
	client := http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// servedBy are the answers of several servers.
func servedBy(t *testing.T, caches []*cache, path string) []string {
	out := make([]string, len(caches))
	for i, c := range caches {
		out[i] = c.get(t, path)
	}
	return out
}

// allServe tells whether servers all answer this.
func allServe(t *testing.T, caches []*cache, path, want string) bool {
	return !slices.ContainsFunc(servedBy(t, caches, path), func(got string) bool { return got != want })
}
