package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"agentctl/scripts/testkit"
)

func TestCompileNamesEachBadSetting(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Options)
		want   string // the start of the line
	}{
		"bind":              {func(o *Options) { o.Bind = "::1" }, "bind: address ::1: too many colons"},
		"bind port":         {func(o *Options) { o.Bind = "127.0.0.1:70000" }, "bind: address 70000: invalid port"},
		"advertise no host": {func(o *Options) { o.Advertise = ":7946" }, `advertise: ":7946" has no host`},
		"advertise":         {func(o *Options) { o.Advertise = "a:b:c" }, "advertise: address a:b:c"},
		"iface":             {func(o *Options) { o.Interface = "none0" }, `iface: "none0": `},
		"protocol low":      {func(o *Options) { o.Protocol = 1 }, "protocol: 1 is not between 2 and 5"},
		"protocol high":     {func(o *Options) { o.Protocol = 6 }, "protocol: 6 is not between 2 and 5"},
		"profile":           {func(o *Options) { o.Profile = "LAN" }, `profile: unknown profile "LAN": want lan, wan or local`},
		"key not base64":    {func(o *Options) { o.EncryptKey = "hidden!" }, "encrypt: the key is not base64: make one with"},
		"key size":          {func(o *Options) { o.EncryptKey = "aGlkZGVu" }, "encrypt: the key has 6 bytes, want 16, 24 or 32"},
		"key and keyring":   {func(o *Options) { o.EncryptKey, o.KeyringFile = "cGFzc3dvcmRwYXNzd29yZA==", "/k" }, "encrypt: cannot be given together with -keyring-file"},
		"tags and file":     {func(o *Options) { o.TagsFile, o.Tags = "/t", map[string]string{"a": "b"} }, "tags-file: cannot be given together with -tag"},
		"rpc":               {func(o *Options) { o.RPCAddr = "127.0.0.1" }, "rpc-addr: address 127.0.0.1: missing port"},
		"rpc unix":          {func(o *Options) { o.RPCAddr = "unix:" }, "rpc-addr: unix: needs a path"},
		"token":             {func(o *Options) { o.HTTPTokenFile = "/nothing" }, `http-token-file: stat /nothing: no such file or directory`},
		"http":              {func(o *Options) { o.HTTPAddr = "on" }, `http-addr: address on: missing port in address (or "off" for none)`},
		"log level":         {func(o *Options) { o.LogLevel = "loud" }, `log-level: unknown log level "loud": want trace, debug, info, warn or err`},
		"log format":        {func(o *Options) { o.LogFormat = "xml" }, `log-format: unknown format "xml": want text or json`},
		"mdns alone":        {func(o *Options) { o.MDNS.Interface = "lo" }, "mdns-iface: has no effect without -discover"},
		"mdns iface":        {func(o *Options) { o.MDNS.Interface, o.Discover = "none0", "c" }, `mdns-iface: "none0": `},
		"mdns neither":      {func(o *Options) { o.Discover, o.MDNS = "c", MDNSOptions{"lo", true, true} }, "mdns-disable-ipv4: and -mdns-disable-ipv6 leave no way"},
		"event size":        {func(o *Options) { o.UserEventSizeLimit = 9217 }, "user_event_size_limit: 9217 is not between 1 and 9216 bytes"},
		"large event":       {func(o *Options) { o.MaxEventSize = 1<<20 + 1 }, "max-event-size: 1048577 is not between 0 and 1048576 bytes"},
		"large event -1":    {func(o *Options) { o.MaxEventSize = -1 }, "max-event-size: -1 is not between"},
		"event size 0":      {func(o *Options) { o.UserEventSizeLimit = 0 }, "user_event_size_limit: 0 is not between"},
		"query size":        {func(o *Options) { o.QuerySizeLimit = -1 }, "query_size_limit: -1 is not between 1 and 65536"},
		"response size":     {func(o *Options) { o.QueryResponseSizeLimit = 1 << 17 }, "query_response_size_limit: 131072 is not"},
		"drain":             {func(o *Options) { o.DrainTimeout = -time.Second }, "drain-timeout: -1s is negative"},
		"reconnect":         {func(o *Options) { o.ReconnectInterval = -1 }, "reconnect_interval: -1ns is negative"},
		"give up":           {func(o *Options) { o.ReconnectTimeout = -1 }, "reconnect_timeout: -1ns is negative"},
		"tombstone":         {func(o *Options) { o.TombstoneTimeout = -1 }, "tombstone_timeout: -1ns is negative"},
		"gateway":           {func(o *Options) { o.Gateway = "ftp://u:hidden@h" }, `gateway: "ftp://xxxxx@h" is not a URL: want one like http://`},
		"handler type":      {withHandlers("user,members=x"), `event-handler "user,members=x": `},
		"handler empty":     {withHandlers("user="), `event-handler "user=": nothing to run or post to`},
		"handler password":  {withHandlers("user=http://u:hidden word@h"), `event-handler "user=http://xxxxx@h": `},
		"handler odd URL":   {withHandlers("user=http://u:hidden/x@h:1"), `event-handler "user=http://xxxxx@h:1": `},
		"handler port":      {withHandlers("user=http://u:hidden@h:x/"), `event-handler "user=http://xxxxx@h:x/": `},
		"handler control":   {withHandlers("user=http://u:hidden\n@h/"), `event-handler "user=http://xxxxx@h/": `},
		"handler escape":    {withHandlers("user=http://u:hidden%zz@h/"), `event-handler "user=http://xxxxx@h/": `},
		"handler no host":   {withHandlers("user=http://u:hidden@/"), `event-handler "user=http://xxxxx@/": `},
	} {
		t.Run(name, func(t *testing.T) {
			o := changed(tt.change)
			_, err := Compile(Input{Defaults: o})
			if err == nil {
				t.Fatal("it is taken")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != 1 || !strings.HasPrefix(lines[0], tt.want) {
				t.Errorf("%q, want one line that begins %q", lines, tt.want)
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("%q shows a secret", err)
			}
		})
	}
}

func TestCompileNamesAllAtOnce(t *testing.T) {
	o := changed(withHandlers("user=", "x,y=z"))
	o.Bind, o.Profile, o.RPCAddr, o.LogLevel, o.Gateway = "a:b:c", "x", "y", "z", "w"
	_, err := Compile(Input{Defaults: o})
	if err == nil {
		t.Fatal("it is taken")
	}
	var names []string
	for l := range strings.SplitSeq(err.Error(), "\n") {
		name, _, _ := strings.Cut(l, " ")
		names = append(names, strings.TrimSuffix(name, ":"))
	}
	if got, want := strings.Join(names, " "), "bind profile rpc-addr log-level gateway event-handler event-handler"; got != want {
		t.Errorf("named %s, want %s", got, want)
	}
}

func TestCompileTakesWhatIsGood(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"as it is":       func(o *Options) {},
		"our defaults":   func(o *Options) { *o = DefaultOptions(); o.NodeName = "n" },
		"serf's":         func(o *Options) { *o = SerfOptions(); o.NodeName = "n" },
		"IPv6":           func(o *Options) { o.Bind, o.Advertise = "[::1]", "[::1]:7946" },
		"a name to bind": func(o *Options) { o.Bind = "localhost" },
		"key 16":         func(o *Options) { o.EncryptKey = "cGFzc3dvcmRwYXNzd29yZA==" },
		"unix":           func(o *Options) { o.RPCAddr, o.HTTPAddr = "unix:/r.sock", "unix:/h.sock" },
		"as Kong starts": func(o *Options) { o.LogLevel, o.Profile, o.Bind = "err", "wan", "0.0.0.0:7946" },
		"handlers":       withHandlers("a.sh", "user=b.sh", "user:x,query:y=http://u:p@h/", "*=unix:/s:/p", "member-join=https://h?a=b"),
		"limits":         func(o *Options) { o.UserEventSizeLimit, o.QuerySizeLimit, o.MaxEventSize = 9216, 1<<16, 1<<20 },
		"mdns":           func(o *Options) { o.Discover, o.MDNS = "c", MDNSOptions{"lo", false, true} },
		"no drain":       func(o *Options) { o.DrainTimeout = 0 },
	} {
		o := changed(change)
		if _, err := Compile(Input{Defaults: o}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsLeftOutIsFilledIn(t *testing.T) {
	o := changed()
	o.NodeName, o.Role, o.Tags = "", "web", nil
	o.RetryInterval, o.BroadcastTimeout, o.RejoinAfterLeave = time.Millisecond, 0, true
	got := compiled(t, o)
	testkit.Want(t, "warnings", got.Warnings, []string{
		"role: deprecated, give the tag role=web instead",
		"retry-interval: 1ms is too low, using 1s",
		"broadcast-timeout: 0s is too low, using 1s",
		"rejoin: has no effect without -snapshot or -data-dir",
	})
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got.NodeName != host || got.NodeTags["role"] != "web" || got.RetryInterval != time.Second || got.BroadcastTimeout != time.Second {
		t.Errorf("%+v", got)
	}
	o.DataDir = "/d"
	if got := compiled(t, o); got.SnapshotPath != "/d/"+SnapshotFile || len(got.Warnings) != 3 {
		t.Errorf("with a data directory: snapshot at %q, warnings %q", got.SnapshotPath, got.Warnings)
	}
}

// An error tells the warnings, too: check shows both.
func TestProblemsComeWithWarnings(t *testing.T) {
	o := changed(func(o *Options) { o.Role, o.Profile = "web", "x" })
	_, err := Compile(Input{Defaults: o})
	e, ok := errors.AsType[*Error](err)
	if !ok || len(e.problems) != 1 || len(e.Warnings) != 1 {
		t.Errorf("%+v", err)
	}
}

// TestBindForms: an address without a host is all addresses, as for serf.
func TestBindForms(t *testing.T) {
	for bind, want := range map[string]string{
		"0.0.0.0":      "0.0.0.0:7946",
		"0.0.0.0:7950": "0.0.0.0:7950",
		":7950":        "0.0.0.0:7950",
		":0":           "0.0.0.0:0",
		":":            "0.0.0.0:0",
		"[]:7950":      "0.0.0.0:7950",
		"[::]":         "[::]:7946",
		"[::]:7950":    "[::]:7950",
		"[::1]":        "[::1]:7946",
		"127.0.0.1:0":  "127.0.0.1:0",
	} {
		if got := compiled(t, changed(func(o *Options) { o.Bind = bind })).BindAddr.String(); got != want {
			t.Errorf("-bind=%s is %s, want %s", bind, got, want)
		}
	}
}

// compiled is what options come to.
func compiled(t *testing.T, o Options) *Config {
	t.Helper()
	c, err := Compile(Input{Defaults: o})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// changed are the default options of a node with these changes.
func changed(change ...func(*Options)) Options {
	o := DefaultOptions()
	o.NodeName, o.Bind = "node", "127.0.0.1:0"
	o.EventHandlers = []string{"user:of-no-test=true"}
	for _, c := range change {
		c(&o)
	}
	return o
}

// withHandlers sets the event handlers.
func withHandlers(specs ...string) func(*Options) {
	return func(o *Options) { o.EventHandlers = specs }
}
