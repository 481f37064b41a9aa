package handler_test

import (
	"fmt"
	"log"
	"time"

	"agentctl/handler"
)

// Filters are serf's: types with commas between them. The types user and query
// may name an event.
func ExampleParseFilters() {
	filters, err := handler.ParseFilters("member-failed,user:purge")
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(filters.Match(handler.User, "purge"))
	fmt.Println(filters.Match(handler.User, "deploy"))
	fmt.Println(filters.Match(handler.MemberFailed, ""))
	fmt.Println(filters)
	// Output:
	// true
	// false
	// true
	// member-failed,user:purge
}

// The error names the part that is wrong, and the types that there are.
func ExampleParseFilters_unknownType() {
	_, err := handler.ParseFilters("user:purge,member-joined")
	fmt.Println(err)
	// Output:
	// unknown event type "member-joined"; use member-join, member-leave, member-failed, member-update, member-reap, user, query, user:NAME, query:NAME or *, with commas and no blanks between them
}

// A user event has the same ID on every node, whenever that node heard of it.
// Another Lamport time makes another event of the same name and payload.
func ExampleNewUser() {
	noon := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	here := handler.NewUser(7, "purge", []byte("/index.html"), noon)
	there := handler.NewUser(7, "purge", []byte("/index.html"), noon.Add(time.Second))
	again := handler.NewUser(8, "purge", []byte("/index.html"), noon)

	fmt.Println(here.ID)
	fmt.Println(here.ID == there.ID, here.ID == again.ID)
	// Output:
	// 7-458d177264322e0d
	// true false
}

// The body of a user event is its payload. A member event has the JSON that Kong
// expects, with serf's line for the member: name, address, role and tags.
func ExampleEvent_Body() {
	now := time.Now()
	user := handler.NewUser(7, "purge", []byte("/index.html"), now)
	line := handler.MemberLine("gateway-1", "10.0.0.1", "proxy", map[string]string{"dc": "berlin"})
	member := handler.NewMember(handler.MemberJoin, "member-join-1", line, now)

	fmt.Printf("%s\n%s\n", user.Body(), member.Body())
	// Output:
	// /index.html
	// {"type":"member-join","entity":"gateway-1\t10.0.0.1\tproxy\tdc=berlin"}
}

// The value of -event-handler is a filter and a target, or a filter and a script.
// IsTarget tells which of the two it is.
func ExampleSplitHandler() {
	for _, value := range []string{
		"user:purge=http://127.0.0.1:8080/purge?soft=1",
		"member-join=/usr/local/bin/welcome.sh",
		"http://127.0.0.1:8080/purge?soft=1",
	} {
		filter, what := handler.SplitHandler(value)
		filters, err := handler.ParseFilters(filter)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v -> %s, a target: %v\n", filters, what, handler.IsTarget(what))
	}
	// Output:
	// user:purge -> http://127.0.0.1:8080/purge?soft=1, a target: true
	// member-join -> /usr/local/bin/welcome.sh, a target: false
	// * -> http://127.0.0.1:8080/purge?soft=1, a target: true
}
