package quick

import (
	"io"
	"strconv"
	"syscall"
)

// timeout is how long connecting, and each read and write, may take, in seconds.
// It is that of rpcclient.
const timeout = 10

func init() {
	args, ok := arguments()
	if !ok {
		return
	}
	if line, code, done := run(args, getenv); done {
		syscall.Write(1, []byte(line+"\n")) // there is nobody to tell
		syscall.Exit(code)
	}
}

// arguments are those of the process. Package os, which has them, comes behind
// others in the order of initialisation.
func arguments() (args []string, ok bool) {
	fd, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer syscall.Close(fd)
	text := make([]byte, 0, 4096)
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := socket(fd).Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err == io.EOF && len(text) > 0 { // each argument has a zero byte behind it
			return split(string(text[:len(text)-1]), 0), true
		}
		if err != nil {
			return nil, false
		}
	}
}

func getenv(name string) string {
	value, _ := syscall.Getenv(name)
	return value
}

// run publishes the event of a command line. done is false where nothing has
// been published and the ordinary command is to do it.
func run(args []string, getenv func(string) string) (line string, code int, done bool) {
	e, ok := parse(args, getenv)
	if !ok {
		return "", 0, false
	}
	fd, err := e.dial()
	if err != nil {
		return "", 0, false
	}
	defer syscall.Close(int(fd))
	requests, answers := e.requests()
	sent, err := fd.write(requests)
	if err != nil && sent < len(requests) {
		return "", 0, false // an event that has not come whole is none
	}
	for seq := byte(1); seq <= answers; seq++ {
		switch ok, err := readAnswer(fd, seq); {
		case err != nil:
			return "Error sending event: event: no answer from the agent at " + e.where + reason(err) +
				" (the command may or may not have taken effect)", 1, true
		case !ok:
			return "", 0, false // the event was refused, or what comes before it
		}
	}
	return "Event '" + e.name + "' dispatched! Coalescing enabled: " + strconv.FormatBool(e.coalesce), 0, true
}

// reason says why there is no answer. A read that takes too long ends with an
// error whose own text tells nobody so.
func reason(err error) string {
	if err == syscall.EAGAIN {
		return " within " + strconv.Itoa(timeout) + "s"
	}
	return ": " + err.Error()
}

// socket is a connected socket. Package net is not used, since it comes behind
// others in the order of initialisation.
type socket int

func (e *event) dial() (socket, error) {
	family, to := syscall.AF_UNIX, syscall.Sockaddr(&syscall.SockaddrUnix{Name: e.socket})
	if e.socket == "" {
		family, to = syscall.AF_INET, &syscall.SockaddrInet4{Port: e.port, Addr: e.addr}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	limit := syscall.Timeval{Sec: timeout}
	for _, option := range []int{syscall.SO_SNDTIMEO, syscall.SO_RCVTIMEO} {
		if err == nil {
			err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, option, &limit)
		}
	}
	if err == nil {
		err = syscall.Connect(fd, to)
	}
	if err != nil {
		syscall.Close(fd)
		return 0, err
	}
	return socket(fd), nil
}

func (fd socket) write(p []byte) (sent int, err error) {
	for sent < len(p) {
		n, err := syscall.Write(int(fd), p[sent:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// Read is for io.Reader.
func (fd socket) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
