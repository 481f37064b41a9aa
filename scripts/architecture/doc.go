// Package architecture holds, as tests, the rules on how the packages of this
// module fit together.
//
// Events flow one way, from serf and the links through intake and journal to the
// deliveries, and imports follow them. So one table says which of our packages
// each package imports. An import that the table lacks fails the test. So does an
// unused entry. The table is the map of the program, and a review shows every
// change of it.
//
// Leaves are the exception. They import none of our packages, and every package
// may import them.
//
// Further rules:
//
//   - what a package must not reach through others,
//   - which package may import a module that is not ours,
//   - each package says what it is for,
//   - how many fields the central types may have, and how many methods an interface,
//   - inputs of the fuzzer belong to a target.
//
// The rules on imports hold for the program, not for its tests: a test may import
// more.
package architecture
