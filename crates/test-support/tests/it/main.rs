//! The test tools against real servers, processes and sockets.

mod database_server;
mod fault_proxy;
mod guarded;
mod process;
mod rabbit_server;
mod service_process;
