package config

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func fileNamed(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// handlerSaid is what compiling one event handler says: its error, or its warning.
func handlerSaid(t *testing.T, change func(*Options)) (problem, warning string) {
	t.Helper()
	conf, err := Compile(Input{Defaults: changed(change)})
	if err != nil {
		return err.Error(), ""
	}
	return "", strings.Join(conf.Warnings, "\n")
}

// An event handler that has the form of a URL is no command.
func TestAHandlerThatLooksLikeAURL(t *testing.T) {
	for what, meant := range map[string]string{
		"127.0.0.1:6081/":       "http://127.0.0.1:6081/",
		"127.0.0.1:6081":        "http://127.0.0.1:6081",
		"127.0.0.1/purge?x=1":   "http://127.0.0.1/purge?x=1",
		"[::1]:80/":             "http://[::1]:80/",
		"[::1]/x":               "http://[::1]/x",
		"localhost":             "http://localhost",
		"localhost:8001":        "http://localhost:8001",
		"varnish:6081/{{.key}}": "http://varnish:6081/{{.key}}",
		"gw.example.org:8001/a": "http://gw.example.org:8001/a",
		":8001/":                "http://127.0.0.1:8001/",
		"//gw/x":                "http://gw/x",
		"http:/gw/x":            "http://gw/x",
		"https:gw/x":            "https://gw/x",
		"http//gw/x":            "http://gw/x",
		"https//gw/x":           "https://gw/x",
	} {
		problem, _ := handlerSaid(t, withHandlers("user:x="+what))
		if !strings.HasSuffix(problem, "has no scheme: write "+meant) || !strings.HasPrefix(problem, "event-handler ") {
			t.Errorf("%s: %q, want to write %s", what, problem, meant)
		}
		for _, url := range []func(*Options){
			func(o *Options) { o.Gateway = what },
			func(o *Options) { o.Targets = []TargetOptions{{URL: what}} },
		} {
			if problem, _ := handlerSaid(t, url); !strings.Contains(problem, "has no scheme: write "+meant) || strings.Contains(problem, "\n") {
				t.Errorf("%s as a URL: %q, want to write %s", what, problem, meant)
			}
		}
		if problem, warning := handlerSaid(t, func(o *Options) { *o = SerfOptions(); withHandlers("user:x=" + what)(o) }); problem+warning != "" {
			t.Errorf("%s as serf, which has a shell run it: %q, %q", what, problem, warning)
		}
	}
	// Quotes that a file of variables kept, and blanks that nobody sees.
	for _, what := range []string{`"http://gw:1/x"`, `'http://gw:1/x'`, " http://gw:1/x", "http://gw:1/x ", "\"gw:1/x\"", " gw:1/x\r"} {
		for _, change := range []func(*Options){
			withHandlers("user:x=" + what),
			func(o *Options) { o.Gateway = what },
			func(o *Options) { o.Targets = []TargetOptions{{URL: what}} },
		} {
			if problem, _ := handlerSaid(t, change); !strings.HasSuffix(problem, "stands in quotes or blanks: write http://gw:1/x") {
				t.Errorf("%q: %q", what, problem)
			}
		}
	}
	if problem, _ := handlerSaid(t, func(o *Options) { o.Gateway = " " }); !strings.HasSuffix(problem, `" " is no URL: write one such as http://127.0.0.1:8001/`) {
		t.Errorf("a blank gateway: %q", problem)
	}
	if problem, _ := handlerSaid(t, withHandlers(`user:x="http://u:hidden@gw/"`)); !strings.Contains(problem, "stands in quotes") || strings.Contains(problem, "hidden") {
		t.Errorf("in quotes with a password: %q", problem)
	}
	problem, _ := handlerSaid(t, withHandlers("user:x=u:hidden@127.0.0.1:80/"))
	if problem == "" || strings.Contains(problem, "hidden") {
		t.Errorf("with a password: %q", problem)
	}
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if problem, _ := handlerSaid(t, withHandlers(socket)); !strings.HasSuffix(problem, "write unix:"+socket) {
		t.Errorf("a socket: %q", problem)
	}
}

// A script that is not there is warned of. What only a shell can tell is not.
func TestACommandThatCannotRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("its shell looks for programs in another way")
	}
	there := fileNamed(t, "x.sh", "true\n") // not executable
	for command, want := range map[string]string{
		"/no/script.sh":               "there is no script /no/script.sh",
		"./no-script a b":             "there is no script ./no-script",
		"/no/script.sh >>/tmp/log":    "there is no script /no/script.sh",
		"no-such-program --now":       `there is no program "no-such-program" in the folders of PATH`,
		"sh /no/script.sh":            "there is no script /no/script.sh",
		"/bin/sh /no/script.sh a; id": "there is no script /no/script.sh",
		"gw.example.org/purge":        "there is no script gw.example.org/purge; to post to it as a URL, write http://gw.example.org/purge",
		"/":                           "/ is a folder: name the script in it",
		there:                         "may not be run: make it executable",
		"sh " + there:                 "",
		"sh -c 'exit 3'":              "",
		"exit 3":                      "",
		"cat >>seen; echo":            "",
		"$HOME/x.sh":                  "",
		"A=b /no/script.sh":           "",
		"'/no/a b.sh'":                "",
		"{ cat; echo; } >>x":          "",
		"while :; do sleep 1; done":   "",
		"/bin/sh":                     "",
	} {
		problem, warning := handlerSaid(t, withHandlers("user:x="+command))
		if problem != "" || !strings.Contains(warning, want) || want == "" && warning != "" {
			t.Errorf("%s: %q, warning %q, want %q", command, problem, warning, want)
		}
		if problem, warning := handlerSaid(t, func(o *Options) { *o = SerfOptions(); withHandlers("user:x=" + command)(o) }); problem+warning != "" {
			t.Errorf("%s as serf: %q, %q", command, problem, warning)
		}
	}
}

// Kong's path gets the slash that it has, where it is surely Kong's.
func TestKongsSlashIsAdded(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:1/cluster/events":           "http://h:1/cluster/events/",
		"https://u:p@h/kong/cluster/events":   "https://u:p@h/kong/cluster/events/",
		"http://h/cluster/events?a=/b":        "http://h/cluster/events/?a=/b",
		"unix:/run/kong.sock:/cluster/events": "unix:/run/kong.sock:/cluster/events/",
		"http://h/cluster/events/":            "http://h/cluster/events/",
		"http://h/x":                          "http://h/x",
		"http://h/x?a=/cluster/events":        "http://h/x?a=/cluster/events",
		"http://h/cluster/eventsx":            "http://h/cluster/eventsx",
	} {
		for name, change := range map[string]func(*Options){
			"gateway": func(o *Options) { o.Gateway = in },
			"target":  func(o *Options) { o.Targets = []TargetOptions{{URL: in, Preset: "kong"}} },
		} {
			conf := compiled(t, changed(change))
			if got := conf.Handlers.Targets[0].URL; got != want || (len(conf.Warnings) == 1) != (in != want) {
				t.Errorf("%s %s: it posts to %s, warnings %q; want %s", name, in, got, conf.Warnings, want)
			}
		}
		conf := compiled(t, changed(withHandlers("user:kong="+in)))
		if got := conf.Handlers.Targets[0].URL; got != in || (len(conf.Warnings) == 1) != (in != want) {
			t.Errorf("handler %s: it posts to %s, warnings %q", in, got, conf.Warnings)
		}
	}
}

// A slash alone is most often what was typed to mean no path, and Kong takes nothing there.
func TestAGatewaysPathThatIsASlash(t *testing.T) {
	for url, warned := range map[string]bool{"http://h:1/": true, "https://h//?a=b": true, "http://h:1": false, "http://h:1/x": false, "unix:/run/x.sock": false, "unix:/run/x.sock:/": false} {
		conf := compiled(t, changed(func(o *Options) { o.Gateway = url }))
		if got := strings.Join(conf.Warnings, "\n"); warned != (got == "gateway: its path is /; to post to Kong's /cluster/events/, leave out the path") || !warned && got != "" {
			t.Errorf("%s: %q", url, got)
		}
	}
}

// Addresses that cannot work are refused at the start, not tried for ever. As serf they are
// tried, as stock serf does.
func TestAddressesThatCannotWork(t *testing.T) {
	for addr, why := range map[string]string{
		"10.0.0.5:abc":        "has a port that is none",
		"10.0.0.5:99999":      "has a port that is none",
		"n1/10.0.0.5:0":       "has a port that is none",
		"http://10.0.0.5/":    "is a URL: give host or host:port",
		"10.0.0.5,10.0.0.6":   "has a comma or a blank",
		"10.0.0.5 10.0.0.6":   "has a comma or a blank",
		`"10.0.0.5"`:          "stands in quotes or blanks",
		" 10.0.0.5":           "stands in quotes or blanks",
		"":                    "",
		"10.0.0.5":            "",
		"n1/10.0.0.5:7946":    "",
		"fd00::1":             "",
		"[fd00::1]:7946":      "",
		"gw-2.example.org:80": "",
		"dns+srv://gw:x":      "",
	} {
		for _, change := range []func(*Options){
			func(o *Options) { o.RetryJoin = []string{addr} }, func(o *Options) { o.StartJoin = []string{addr} },
		} {
			problem, warning := handlerSaid(t, change)
			if warning != "" || !strings.Contains(problem, why) || why == "" && problem != "" {
				t.Errorf("%q: %q, %q, want %q", addr, problem, warning, why)
			}
			if problem, _ := handlerSaid(t, func(o *Options) { *o = SerfOptions(); change(o) }); problem != "" {
				t.Errorf("%q as serf: %q", addr, problem)
			}
		}
	}
	for want, change := range map[string]func(*Options){
		"advertise: 0.0.0.0 is no address that others can reach":      func(o *Options) { o.Advertise = "0.0.0.0" },
		"http-addr: 127.0.0.1:7373 is the address of -rpc-addr, too":  func(o *Options) { o.HTTPAddr = o.RPCAddr },
		"tag: the tags have 513 bytes together, and serf takes 512":   func(o *Options) { o.Tags = map[string]string{"role": strings.Repeat("x", 505)} },
		`http-addr: "127.0.0.1:x" has no port from 0 to 65535 at its`: func(o *Options) { o.HTTPAddr = "127.0.0.1:x" },
	} {
		if problem, _ := handlerSaid(t, change); !strings.HasPrefix(problem, want) {
			t.Errorf("%q, want %q", problem, want)
		}
	}
	conf, err := Compile(Input{Defaults: DefaultOptions(), Environ: []string{`AGENTCTL_DATA_DIR="/var/lib/x"`, `AGENTCTL_LOG_LEVEL=info`}})
	if err != nil || len(conf.Warnings) != 1 || !strings.HasPrefix(conf.Warnings[0], "AGENTCTL_DATA_DIR: its value begins and ends with a quote") {
		t.Errorf("%v, %v", conf, err)
	}
}
