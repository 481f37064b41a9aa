// Package architecture holds, as tests, the rules on how the packages of this module
// fit together.
//
// Events flow one way, from serf and the links through intake and journal to the
// deliveries, and imports follow them. So one table says which of our packages each
// package imports. An import that the table lacks fails the test. So does an entry
// that nobody uses any more: the table is then the map of the program, and a change
// of it shows in a review. Leaves are the exception. They import none of our
// packages, and every package may import them.
//
// Further rules say what a package must not reach through others, who may import a
// module that is not ours, that each package says what it is for, how many fields the
// central types may have, and that inputs of the fuzzer belong to a target.
//
// The rules on imports are about the program and not about its tests: a test may import more.
package architecture
