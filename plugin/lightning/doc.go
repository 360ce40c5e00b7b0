// Package lightning is the exchange's side of a Core Lightning node: the calls that it makes, the escrow over whichever
// hold plugin the node has, the payments to buyers, and the comparison of the store with both.
package lightning
