// Package planted has bugs put into the product on purpose, to see whether the simulation of contrib/sim finds them. A
// place in the product that can have one asks On, which is a constant false unless the build has the tag "planted".
// A release has neither the bugs nor their names.
package planted
