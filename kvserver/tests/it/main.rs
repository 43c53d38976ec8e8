//! Integration tests of kvserver: one binary. They compare bytes on a socket.

#[cfg(test)]
mod access;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod blocking;
#[cfg(test)]
mod collections;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod data;
#[cfg(test)]
mod export;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod large_values;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod linearizable;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod orphans;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod pubsub;
#[cfg(test)]
mod redis_rs;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod spawned;
#[cfg(test)]
mod startup;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod users;
