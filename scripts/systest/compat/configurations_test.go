package compat

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
)

// Values of settings. {gossip} and {rpc} are free addresses, {dir} is an empty folder.
var (
	durations = []string{`"2s"`, `"0s"`, `""`, `"-1s"`, `"5"`, `"soon"`, `5`, `null`}
	sizes     = []string{`512`, `0`, `-1`, `9216`, `9217`, `1.5`, `"512"`, `null`}
	switches  = []string{`true`, `false`, `"true"`, `1`, `null`}
)

// keyValues are the keys of a configuration file, each with values that serf takes and
// that it does not.
var keyValues = []struct {
	key    string
	values []string
}{
	{"node_name", []string{`"name"`, `""`, `5`, `"with.dot-and_line"`, `null`}},
	{"role", []string{`"web"`, `""`, `["web"]`}},
	{"disable_coordinates", switches},
	{"tags", []string{`{"a":"1"}`, `{"a":""}`, `{}`, `{"a":1}`, `["a"]`, `null`, `{"":"x"}`}},
	{"tags_file", []string{`"{dir}/tags"`, `""`, `"/nonexistent/tags"`, `5`}},
	{"bind", []string{`"{gossip}"`, `"127.0.0.1:nonsense"`, `"nonsense.invalid"`, `5`, `"127.0.0.1:99999"`}},
	{"advertise", []string{`"127.0.0.5:7000"`, `"127.0.0.5"`, `""`, `"nonsense.invalid"`, `"[::1]:7000"`, `5`}},
	{"encrypt_key", []string{`"{key}"`, `"c2hvcnQ="`, `"nonsense!"`, `""`, `"AAAAAAAAAAAAAAAAAAAAAA=="`, `5`}},
	{"keyring_file", []string{`"/nonexistent/keys"`, `""`, `5`}},
	{"log_level", []string{`"DEBUG"`, `"err"`, `"ERROR"`, `"nonsense"`, `""`, `5`}},
	{"rpc_addr", []string{`"{rpc}"`, `"nonsense"`, `"127.0.0.1:nonsense"`, `5`}},
	{"rpc_auth", []string{`"sesame"`, `""`, `5`}},
	{"protocol", []string{`4`, `5`, `2`, `1`, `6`, `-1`, `0`, `"4"`, `4.0`, `4.5`, `null`}},
	{"replay_on_join", switches},
	{"query_response_size_limit", sizes},
	{"query_size_limit", sizes},
	{"user_event_size_limit", sizes},
	{"start_join", []string{`[]`, `["127.0.0.1:1"]`, `"127.0.0.1:1"`, `[1]`, `null`}},
	{"event_handlers", []string{`["x.sh"]`, `["member-join,user:a=x.sh","query=y"]`, `["nonsense=x"]`, `"x.sh"`, `[]`, `null`, `[5]`}},
	{"profile", []string{`"lan"`, `"wan"`, `"local"`, `"LAN"`, `"nonsense"`, `""`, `5`}},
	{"snapshot_path", []string{`"{dir}/snapshot"`, `""`, `"/nonexistent/snapshot"`, `5`}},
	{"leave_on_terminate", switches},
	{"skip_leave_on_interrupt", switches},
	{"interface", []string{`"lo"`, `"nonsense"`, `""`, `5`}},
	{"mdns", []string{`{}`, `{"iface":"lo"}`, `{"disable_ipv4":true}`, `[]`, `{"nonsense":1}`, `null`}},
	{"reconnect_interval", durations},
	{"reconnect_timeout", durations},
	{"tombstone_timeout", durations},
	{"disable_name_resolution", switches},
	{"syslog_facility", []string{`"DAEMON"`, `"nonsense"`, `""`, `5`}},
	{"retry_join", []string{`[]`, `["127.0.0.1:1"]`, `"127.0.0.1:1"`, `null`}},
	{"retry_max_attempts", []string{`0`, `-1`, `1.5`, `"3"`, `null`}},
	{"retry_interval", durations},
	{"rejoin_after_leave", switches},
	{"enable_compression", switches},
	{"statsite_addr", []string{`"127.0.0.1:1"`, `"nonsense"`, `""`, `5`}},
	{"statsd_addr", []string{`"127.0.0.1:1"`, `"nonsense"`, `""`, `5`}},
	{"broadcast_timeout", durations},
	{"validate_node_names", switches},
	{"nonsense", []string{`1`}},
}

// flagValues are the flags of the agent, each with values that serf takes and that it
// does not. "" is the flag without a value.
var flagValues = []struct {
	flag   string
	values []string
}{
	{"node", []string{"", "=", "=name", " name", "=a -node=b", "=with/slash"}},
	{"bind", []string{"", "={gossip}", "=nonsense.invalid", "=127.0.0.1:nonsense", "=127.0.0.1:99999", "=1.2.3.4:0"}},
	{"advertise", []string{"=", "=127.0.0.5", "=127.0.0.5:7000", "=localhost", "=localhost:7000", "=[::1]:7000", "=[::1]", "=nonsense.invalid", "=:7000"}},
	{"config-file", []string{"", "=", "=/nonexistent.json", "={dir}", "=/dev/null"}},
	{"config-dir", []string{"=", "=/nonexistent", "={dir}"}},
	{"encrypt", []string{"=", "={key}", "=c2hvcnQ=", "=nonsense!", "=AAAAAAAAAAAAAAAAAAAAAA=="}},
	{"keyring-file", []string{"=", "=/nonexistent/keys"}},
	{"event-handler", []string{"=", "=x.sh", "=member-join=x.sh", "=user:a=x.sh -event-handler=query:b=y.sh", "=nonsense=x.sh", "=*=x.sh", "=user:=x.sh", "=member-join,member-leave=x.sh", "=user=", "==x.sh"}},
	{"join", []string{"=127.0.0.1:1", "=nonsense.invalid", "="}},
	{"replay", []string{"", "=false", "=nonsense", "="}},
	{"log-level", []string{"=", "=debug", "=Warn", "=err", "=error", "=nonsense", "=trace", "=warning"}},
	{"protocol", []string{"=", "=4", "=5", "=2", "=1", "=6", "=0", "=-1", "=nonsense", "=4.0"}},
	{"role", []string{"=", "=web", "=web -tag=role=db"}},
	{"rpc-addr", []string{"={rpc}", "=nonsense", "=127.0.0.1:99999"}},
	{"profile", []string{"=", "=lan", "=wan", "=local", "=nonsense", "=WAN"}},
	{"snapshot", []string{"=", "={dir}/snapshot", "=/nonexistent/snapshot"}},
	{"tag", []string{"=", "=a=1", "=a=1 -tag=a=2", "=a", "=a=", "==x", "=a=b=c", "=big=x{600}"}},
	{"iface", []string{"=", "=lo", "=nonsense"}},
	{"mdns-iface", []string{"=", "=lo", "=nonsense"}},
	{"mdns-disable-ipv4", []string{"", "=nonsense"}},
	{"mdns-disable-ipv6", []string{"", "=nonsense"}},
	{"tags-file", []string{"=", "={dir}/tags", "=/nonexistent/tags", "={dir}/tags -tag=a=1"}},
	{"retry-join", []string{"=", "=127.0.0.1:1", "=127.0.0.1:1 -retry-max=1 -retry-interval=30s"}},
	{"retry-max", []string{"=", "=3", "=-1", "=nonsense"}},
	{"retry-interval", []string{"=", "=2s", "=1ms", "=0", "=-1s", "=nonsense", "=5"}},
	{"rejoin", []string{"", "=true", "=false", "=nonsense", " -snapshot={dir}/snapshot"}},
	{"disable-compression", []string{"", "=false", "=nonsense"}},
	{"broadcast-timeout", []string{"=", "=2s", "=1ms", "=nonsense"}},
	{"nonsense", []string{"", "=1"}},
}

// configurations are what agents are started with: words of a command line. A word that
// begins with a brace is a file.
func configurations() (lines []string) {
	for _, k := range keyValues {
		for _, v := range k.values {
			lines = append(lines, fmt.Sprintf(`{"%s":%s}`, k.key, v))
		}
	}
	for _, f := range flagValues {
		for _, v := range f.values {
			lines = append(lines, longWord("-"+f.flag+v))
		}
	}
	return append(lines,
		"", "a word behind", "-tag=a=1 word -tag=b=2", "--", "-- word",
		`{"tags":{"a":"1"}} {"tags":{"b":"2"}}`, `{"tags":{"a":"1"}} -tag=a=2`, `{"replay_on_join":true} {"replay_on_join":false}`,
		`{"node_name":"a"} {"node_name":"b"}`, `{"event_handlers":["x"]} {"event_handlers":["y"]} -event-handler=z`,
		`{"bind":"{gossip}"} -bind=`, `{"rpc_addr":"{rpc}"} -rpc-addr=`, `{"log_level":"debug"} -log-level=`, `{"profile":"wan"} -profile=local`, `{"role":"web"} -role=db`,
		`{`, `{}`, `{}{}`, `{}nonsense`, `{"node_name":"a","node_name":"b"}`, `{"NODE_NAME":"a"}`, `{"Tags":{"a":"1"}}`,
		`{"tags_file":"{dir}/tags","tags":{"a":"1"}}`, `{"keyring_file":"/nonexistent/keys","encrypt_key":"{key}"}`,
		`{"mdns":{"disable_ipv4":true,"disable_ipv6":true,"iface":"lo"},"discover":"compat"}`,
		"-encrypt={key} -keyring-file=/nonexistent/keys", "-rejoin -snapshot={dir}/snapshot -replay -log-level=warn",
		"-iface=lo -bind=127.0.0.1:0", "-iface=lo -bind=10.255.255.255", "-mdns-iface=lo -mdns-disable-ipv4 -mdns-disable-ipv6",
		"-help", "-h",
	)
}

// alone are configurations with serf's own ports and all addresses of a machine, so each
// agent has a network namespace of its own, with a private address. It can be asked
// nothing there.
var alone = []string{
	"", "-bind=0.0.0.0", "-bind=0.0.0.0:7950", "-bind=:7946", "-bind=", "-bind=localhost", "-bind=localhost:7947", "-bind=127.0.0.1",
	"-bind=[::1]:7946", "-bind=[::1]", "-bind=::1", "-bind=[::]:7946", "-bind=[::]", "-rpc-addr=", "-rpc-addr=:7373", "-rpc-addr=0.0.0.0:7373",
	"-advertise=10.9.8.7", "-advertise=10.9.8.7:7000", "-iface=eth0", "-iface=eth0 -bind=0.0.0.0:7950", "-iface=eth0 -bind=:7950",
	"-iface=eth0 -bind=10.9.8.7", "-iface=eth0 -bind=10.9.8.7:7950", "-iface=eth0 -bind=localhost", "-iface=eth0 -bind=[::]:7946",
	"-iface=lo", "-iface=empty", `{"interface":"eth0"}`, `{"interface":"eth0","bind":"10.9.8.7"}`,
}

// inNetwork runs a command in a network of its own.
const inNetwork = `ip link set lo up && ip link add eth0 type veth peer name empty && ip addr add 10.9.8.7/24 dev eth0 &&
	ip link set eth0 up && exec "$@"`

// base are the flags that each agent gets, unless its line has them or their key.
var base = []struct{ flag, key, value string }{
	{"node", "node_name", "n"}, {"bind", "bind", "{gossip}"}, {"rpc-addr", "rpc_addr", "{rpc}"}, {"profile", "profile", "lan"},
	{"protocol", "protocol", "4"}, // stock's default is another
}

// startedWith starts an agent and returns what it printed until it ended or runs, and of
// one that runs what it says of itself.
func startedWith(t *testing.T, program []string, line string, alone bool) (r result) {
	dir, err := os.MkdirTemp("", "compat")
	if err != nil {
		t.Error(err)
		return r
	}
	defer os.RemoveAll(dir)
	empty := filepath.Join(dir, "empty")
	rpc := loopback.Addr()
	names := []string{"{gossip}", loopback.Addr(), "{rpc}", rpc, "{dir}", empty, "{key}", proc.FirstKey}
	values := strings.NewReplacer(names...)
	slices.Reverse(names)
	back := strings.NewReplacer(append(names, dir, "{tmp}")...)
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Error(err)
		return r
	}
	args := slices.Concat(program, []string{"agent"})
	for _, b := range base {
		if alone && (b.flag == "bind" || b.flag == "rpc-addr") {
			continue
		}
		if !regexp.MustCompile(`(^| )-` + b.flag + `\b|"` + b.key + `"`).MatchString(line) {
			args = append(args, values.Replace("-"+b.flag+"="+b.value))
		}
	}
	for i, word := range words(line) {
		word = values.Replace(word)
		if strings.HasPrefix(word, "{") {
			file := filepath.Join(dir, fmt.Sprintf("%d.json", i))
			if err := os.WriteFile(file, []byte(word), 0o600); err != nil {
				t.Error(err)
				return r
			}
			word = "-config-file=" + file
		}
		args = append(args, word)
	}
	if alone {
		args = slices.Concat([]string{"unshare", "--net", "--kill-child", "sh", "-c", inNetwork, "sh"}, args)
	}
	p, err := proc.Start(dir, "agent", os.Environ(), args[0], args[1:]...)
	if err != nil {
		t.Error(err)
		return r
	}
	defer p.Kill()
	const runs = "==> Log data will now stream in as it occurs:\n"
	testkit.Poll(func() bool { return p.Ended() || strings.Contains(p.Printed(), runs) })
	stdout, err := os.ReadFile(p.Out)
	if err != nil {
		t.Error(err)
	}
	stderr, err := os.ReadFile(p.Err)
	if err != nil {
		t.Error(err)
	}
	r = result{string(stdout), string(stderr), -1}
	if banner, _, ok := strings.Cut(r.stdout, runs); ok {
		r.stdout = banner + runs
		if !alone {
			r.stdout += saysOfItself(rpc)
		}
	} else if r.status, err = p.Exit(); err != nil {
		t.Errorf("%s: %v", line, err)
	}
	r.stdout, r.stderr = normal(back, r.stdout), normal(back, r.stderr)
	return r
}

// saysOfItself is an agent's info and its members, a line each, in order.
func saysOfItself(rpc string) string {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	c, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: rpc})
	if err != nil {
		return fmt.Sprintf("rpc: %v\n", err)
	}
	defer c.Close()
	var b strings.Builder
	stats, err := c.Stats(ctx)
	if err != nil {
		return fmt.Sprintf("info: %v\n", err)
	}
	for _, section := range slices.Sorted(maps.Keys(stats)) {
		for _, key := range slices.Sorted(maps.Keys(stats[section])) {
			if section != "runtime" {
				fmt.Fprintf(&b, "%s.%s: %s\n", section, key, stats[section][key])
			}
		}
	}
	members, err := c.Members(ctx)
	if err != nil {
		return fmt.Sprintf("members: %v\n", err)
	}
	for _, m := range members {
		fmt.Fprintf(&b, "member %s %v:%d %s protocol %d to %d: %d, delegate %d to %d: %d\n", m.Name, m.Addr, m.Port, m.Status,
			m.ProtocolMin, m.ProtocolMax, m.ProtocolCur, m.DelegateMin, m.DelegateMax, m.DelegateCur)
	}
	return b.String()
}

// TestCompatConfigurations starts an agent of stock serf and one of ours with each
// configuration, and compares whether they run, what they print, their exit status, and
// what they say of themselves.
func TestCompatConfigurations(t *testing.T) {
	t.Parallel()
	their, our := plainPrograms(t)
	compare := func(t *testing.T, name string, lines []string, alone bool) {
		found := newFindings(name)
		each(lines, 6, func(line string) {
			var want, got result
			var both sync.WaitGroup
			both.Go(func() { want = startedWith(t, their, line, alone) })
			both.Go(func() { got = startedWith(t, our, line, alone) })
			both.Wait()
			found.add(line, want, got)
		})
		found.report(t, len(lines), name)
	}
	compare(t, "configurations", configurations(), false)
	t.Run("alone", func(t *testing.T) {
		if out, err := exec.Command("unshare", "--net", "sh", "-c", inNetwork, "sh", "true").CombinedOutput(); err != nil {
			testkit.NotRun(t, "it needs Linux, and root that may make networks: %v: %s", err, out)
		}
		compare(t, "alone", alone, true)
	})
}
