package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHandlersBecomeTargetsAndScripts(t *testing.T) {
	o := options(handlers("a.sh b", "user:x=http://h/1", "http://h/1", "query=c.sh"))
	o.Gateway = "http://g:1"
	set, err := o.handlers()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range set.targets {
		got = append(got, x.Name+" "+x.Filters.String()+" "+x.URL)
	}
	for _, s := range set.scripts {
		got = append(got, s.command+" "+s.filters.String())
	}
	want := []string{
		"http://h/1 user:x http://h/1",
		"http://h/1#2 * http://h/1",
		"http://g:1/cluster/events/ " + GatewayEvents + " http://g:1/cluster/events/",
		"a.sh b *",
		"c.sh query",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	bare := options(handlers())
	if set, err := bare.handlers(); err != nil || len(set.targets) != 1 || set.targets[0].URL != DefaultGateway {
		t.Errorf("without any: %+v, %v", set, err)
	}
	bare.AsSerf = true
	if set, err := bare.handlers(); err != nil || len(set.targets)+len(set.scripts) != 0 {
		t.Errorf("as serf, without any: %+v, %v", set, err)
	}
}

// kongScriptText is the event script of a Kong 0.8 for an admin API at addr.
func kongScriptText(addr string) string {
	return fmt.Sprintf("#!/bin/sh\nPAYLOAD=`cat` # Read from stdin\n"+
		`if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi
COMMAND='require("kong.tools.http_client").post("http://%s/cluster/events/", [=['${PAYLOAD}']=], {["content-type"] = "application/json"})'
echo $COMMAND | /usr/local/bin/luajit
`, addr)
}

func TestKongsOwnScriptBecomesATarget(t *testing.T) {
	t.Parallel()
	gw := newGateway(t)
	addr := strings.TrimPrefix(gw.URL, "http://")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	genuine := write("serf_event.sh", kongScriptText(addr))
	pipe := filepath.Join(dir, "pipe")
	makePipe(t, pipe)
	for what, isTarget := range map[string]bool{
		genuine:         true,
		genuine + " x":  false,
		"sh " + genuine: false,
		"serf_event.sh": false,
		dir:             false,
		pipe:            false,
		dir + "/none":   false,
		write("changed.sh", kongScriptText(addr)+"logger done\n"):              false,
		write("large.sh", kongScriptText(addr)+strings.Repeat("\n", 16<<10+1)): false,
	} {
		o := options(handlers("user:kong=" + what))
		set, err := o.handlers()
		if err != nil || len(set.targets)+len(set.scripts) != 1 || (len(set.targets) == 1) != isTarget {
			t.Errorf("%s: %+v, %v, want a target: %v", what, set, err, isTarget)
		}
		o.NativeHandlers = false
		if set, err = o.handlers(); err != nil || len(set.scripts) != 1 {
			t.Errorf("%s, without native handlers: %+v, %v", what, set, err)
		}
	}
	n := start(t, handlers("user:kong="+genuine))
	if err := n.Publish(t.Context(), "kong", []byte("]=]"), false); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the post", func() bool { return len(gw.of("user")) == 1 })
	if p := gw.of("user")[0]; p.body != "]=]" {
		t.Errorf("posted %+v", p)
	}
	waitFor(t, "the log to tell of it", func() bool { return n.log.count("events are posted", genuine) == 1 })
}
