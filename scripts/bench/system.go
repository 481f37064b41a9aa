//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
)

// kind is what an agent is, and what it does with an event.
type kind string

const (
	kongScript kind = "serf, Kong's script" // stock; the script starts an interpreter that POSTs
	curlScript kind = "serf, curl script"   // stock; the script runs curl
	noScript   kind = "serf, no script"     // stock; its RPC stream tells what has come
	ours       kind = "agentctl"
)

// kinds are the columns of the table.
var kinds = []kind{kongScript, curlScript, noScript, ours}

// posting are those that POST.
var posting = []kind{kongScript, curlScript, ours}

// perlPost and pythonPost are what the script hands to the interpreter: a POST
// over a plain socket of the first argument. Neither has a single quote in it,
// since the shell has it between such.
const (
	perlPost = `use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or exit 1;
connect($s, sockaddr_in(%[1]s, inet_aton("%[2]s"))) or exit 1;
select((select($s), $| = 1)[0]);
print $s "POST %[3]s HTTP/1.1\r\nHost: %[2]s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " . length($ARGV[0]) . "\r\n\r\n" . $ARGV[0];
1 while <$s>;`
	pythonPost = `import socket, sys
body = sys.argv[1].encode()
s = socket.create_connection(("%[2]s", %[1]s))
s.sendall(b"POST %[3]s HTTP/1.1\r\nHost: %[2]s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %%d\r\n\r\n" %% len(body) + body)
while s.recv(4096): pass`
)

// kongText is laid out like the script that Kong writes: all of standard input
// into a variable, then an interpreter for the POST. Kong's interpreter is
// OpenResty's, which takes several times as long to start as those here.
const kongText = "#!/bin/sh\n" + "PAYLOAD=`cat`\n" +
	`if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi
CMD='%s'
%s "$CMD" "$PAYLOAD"
`

const curlText = `#!/bin/sh
exec curl -s -o /dev/null -m 60 -H 'Content-Type: application/json' --data-binary @- '%s'
`

// interpreter is the one that stands in for Kong's.
func interpreter() (string, error) {
	if _, err := exec.LookPath("curl"); err != nil {
		return "", errors.New("curl is wanted, and is not there: install it")
	}
	for _, name := range []string{"perl", "python3"} {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", errors.New("perl or python3 is wanted, and neither is there: install one")
}

// script writes the event script of a stock agent and returns its path. It
// POSTs to target.
func script(k kind, dir, interpreter, target string) (string, error) {
	text := fmt.Sprintf(curlText, target)
	if k == kongScript {
		u, err := url.Parse(target)
		if err != nil {
			return "", err
		}
		program, command := perlPost, "perl -e"
		if interpreter == "python3" {
			program, command = pythonPost, "python3 -c"
		}
		text = fmt.Sprintf(kongText, fmt.Sprintf(program, u.Port(), u.Hostname(), u.Path), command)
	}
	f, err := os.CreateTemp(dir, "event-*.sh")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	return f.Name(), errors.Join(err, f.Chmod(0o755), f.Close())
}

// invocation is the program of an agent and its arguments. It binds to ip, keeps
// what it writes in dir, and where its kind POSTs, does so to target.
func (b *bench) invocation(k kind, dir, name, ip, profile, target string) (string, []string, error) {
	args := []string{"agent", "-node=" + name, "-bind=" + ip + ":7946", "-rpc-addr=" + ip + ":7373",
		"-profile=" + profile, "-log-level=warn"}
	switch k {
	case ours:
		return b.ours, append(args, "-http-addr="+ip+":7374", "-event-handler=user:kong="+target), nil
	case noScript:
		return b.serf, args, nil
	}
	path, err := script(k, dir, b.report.Interpreter, target)
	return b.serf, append(args, "-event-handler=user:kong="+path), err
}
