package quick

import (
	"io"
	"strconv"
	"syscall"
)

// timeout is how long connecting, and each read and write, may take, in seconds.
// The ordinary command has more patience, and takes over then.
const timeout = 1

func init() {
	args, ok := arguments()
	if !ok {
		return
	}
	line, sent := run(args, getenv)
	if line != "" {
		syscall.Write(1, []byte(line+"\n")) // there is nobody to tell
		syscall.Exit(0)
	}
	left = sent
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

// run publishes the event of a command line. It returns what to print, if
// the agent has taken the event. Otherwise sent is the event whose answer is
// left to read, or nil if no event was sent.
func run(args []string, getenv func(string) string) (line string, sent *Sent) {
	e, ok := parse(args, getenv)
	if !ok {
		return "", nil
	}
	fd, err := e.dial()
	if err != nil {
		return "", nil
	}
	seq, ok := e.send(fd)
	if !ok {
		syscall.Close(int(fd))
		return "", nil
	}
	id, ok := fd.takePlain(seq)
	if !ok {
		return "", &Sent{FD: int(fd), Seq: uint64(seq), Addr: e.where, Name: e.name, Coalesce: e.coalesce, Serf: e.serf}
	}
	syscall.Close(int(fd))
	line = "Event '" + e.name + "' dispatched! Coalescing enabled: " + strconv.FormatBool(e.coalesce)
	if id != "" && !e.serf {
		line += "\nID: " + id
	}
	return line, nil
}

// send greets the agent and sends it the event, under seq. It reports false if
// the agent surely has not got the event.
//
// The event waits for the answers to the greeting: an agent that has no key
// refuses one, and takes an event all the same. The command has failed then.
func (e *event) send(fd socket) (seq byte, ok bool) {
	greeting, lastSeq := e.greeting()
	if !fd.write(greeting) {
		return 0, false
	}
	for seq := byte(firstSeq); seq <= lastSeq; seq += seqStep {
		var answer [plainAnswer]byte
		if _, err := io.ReadFull(fd, answer[:]); err != nil || !isPlain(answer[:], seq) {
			return 0, false
		}
	}
	seq = lastSeq + seqStep
	return seq, fd.write(e.request(seq)) // an event that has not gone out whole is none
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

// write reports whether it wrote the whole of p.
func (fd socket) write(p []byte) bool {
	for len(p) > 0 {
		n, err := syscall.Write(int(fd), p)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		p = p[n:]
	}
	return true
}

// takePlain waits for an answer. It reads the answer and reports true if it is
// a plain one and all of it has come; else it leaves the answer where it is. The
// answer may have the event's ID.
func (fd socket) takePlain(seq byte) (id string, ok bool) {
	var answer [longestPlain + 1]byte // one more, to see that nothing follows
	size := 0
	for {
		n, _, err := syscall.Recvfrom(int(fd), answer[:], syscall.MSG_PEEK)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return "", false
		}
		if size = n; size > longestPlain {
			return "", false
		}
		if id, ok = readPlain(answer[:size], seq); !ok {
			return "", false
		}
		break
	}
	// A connection that is closed with an answer unread is reset, and agents
	// report that.
	_, err := io.ReadFull(fd, answer[:size])
	return id, err == nil
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
